import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { prepare, type TestSetup, type TestSurroundings } from './application.js';
import type { TestDatabase } from './database.js';
import { DatabaseProxy } from './database.proxy.js';
import { startPostgresServer, type PostgresServer } from './postgres.server.js';
import { startStandby, type Standby } from './standby.js';
import { submissionsOf } from './submissions.js';

/** Leases run out, and jobs that the old primary had locked are freed: on a busy machine that takes its time. */
const REST_MS = 50_000;

/** A database with a standby; applications reach the one that is primary. */
export interface FailoverPair extends TestSurroundings {
  primary: PostgresServer;
  standby: Standby;
  proxy: DatabaseProxy;
  /** A superuser's pool on the standby's copy. */
  copy: pg.Pool;
  /** The standby takes the place of the primary, which is gone from one moment to the next unless it is already. */
  failOver(): Promise<void>;
  /** How often each order was sent; a provider that takes an order_id twice would have paid so often. */
  submissions(orderIds: string[]): number[];
  /** The rows of all payouts, by order_id. */
  rows(): Promise<Map<string, PayoutRow>>;
  /** Waits until no payout is queued, sending or unknown. @returns the rows. */
  untilAtRest(): Promise<Map<string, PayoutRow>>;
}

export interface PayoutRow {
  id: string;
  order_id: string;
  status: string;
  attention: string | null;
  attempt: number;
  possibly_sent: boolean;
  doubted_at: Date | null;
}

/** @param setup of the provider and of the options; the database is the pair's. */
export async function startFailoverPair(setup: TestSetup = {}): Promise<FailoverPair> {
  const primary = await startPostgresServer();
  const made = await primary.createDatabase();
  const standby = await startStandby(primary);
  const proxy = await DatabaseProxy.start(made.url);
  const pool = poolOf(proxy.url);
  const name = new URL(made.url).pathname;
  const copyUrl = Object.assign(new URL(standby.url), { pathname: name }).href;
  const copy = poolOf(copyUrl);
  // Dropped with its server.
  const database: TestDatabase = { url: proxy.url, adminUrl: proxy.url, pool, drop: () => pool.end() };
  const around = await prepare({ ...setup, database });
  const rows = async (): Promise<Map<string, PayoutRow>> => {
    const found = await pool.query<PayoutRow>('SELECT * FROM alikassa_payouts ORDER BY seq');
    return new Map(found.rows.map((row) => [row.order_id, row]));
  };
  return {
    ...around,
    primary,
    standby,
    proxy,
    copy,
    rows,
    failOver: async () => {
      await primary.crash();
      await standby.promote();
      proxy.switchTo(copyUrl);
    },
    submissions: (orderIds) => orderIds.map((orderId) => submissionsOf(around.simulator, orderId)),
    untilAtRest: async () => {
      const deadline = Date.now() + REST_MS;
      for (;;) {
        const all = await rows().catch(() => new Map<string, PayoutRow>());
        const moving = [...all.values()].filter(({ status }) => ['queued', 'sending', 'unknown'].includes(status));
        if (all.size > 0 && moving.length === 0) return all;
        if (Date.now() > deadline)
          throw new Error(`Still on their way: ${moving.map(({ status, attempt }) => `${status} ${attempt}`).join()}`);
        await sleep(50);
      }
    },
    stop: async () => {
      try {
        await around.stop();
      } finally {
        await made.pool.end();
        await copy.end();
        await proxy.stop();
        await standby.remove();
        await primary.remove();
      }
    },
  };
}

function poolOf(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 3, application_name: 'test' });
  pool.on('error', () => undefined);
  return pool;
}
