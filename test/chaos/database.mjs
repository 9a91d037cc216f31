import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../dist/src/app/embedded-postgres.js';
import { freePort } from '../../dist/src/app/free.port.js';
import { copyAsStandby, fallBehind, promote, untilCaughtUp } from '../helpers/replication.mjs';

const NAME = 'chaos';
const READY_MS = 20_000;

/** A real Postgres on data of its own, always on the same port: a standby that is promoted takes that over. */
export class Database {
  isUp = false;
  servers = 0;

  /** @param isKept whether data of a server that was left for its standby stays for whoever looks at it. */
  constructor(root, port, isKept) {
    this.root = root;
    this.port = port;
    this.isKept = isKept;
    this.folder = this.nextFolder();
  }

  nextFolder() {
    this.servers += 1;
    return join(this.root, `postgres-${this.servers}`);
  }

  async start() {
    this.server = await startEmbeddedPostgres({ folder: this.folder, database: NAME, port: this.port });
    this.url = this.server.url;
    this.pool ??= this.ownPool();
    this.isUp = true;
  }

  ownPool() {
    const pool = new pg.Pool({
      connectionString: this.url,
      max: 3,
      connectionTimeoutMillis: 3_000,
      application_name: 'chaos',
    });
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    return pool;
  }

  /**
   * Ends the server and starts it again.
   * @param {'SIGINT' | 'SIGQUIT' | 'SIGKILL'} signal fast shutdown, immediate one, or none at all
   */
  async restart(signal, pauseMs) {
    await this.end(signal);
    await sleep(pauseMs);
    await this.start();
  }

  async end(signal) {
    this.isUp = false;
    const file = await readFile(join(this.folder, 'data', 'postmaster.pid'), 'utf8');
    process.kill(Number(file.split('\n')[0]), signal);
    await this.server.stop();
  }

  /**
   * Puts an asynchronous standby in the server's place, which lacks what was written in the last moments.
   * @param lagMs for how long it has taken nothing any more when the server goes.
   * @returns {Promise<{ from: number, to: number }>} when what was acknowledged may have been lost.
   */
  async failOver(lagMs) {
    await this.untilReady();
    const folder = this.nextFolder();
    await copyAsStandby({ url: this.url, folder: this.folder }, folder);
    const standby = await startEmbeddedPostgres({ folder, database: NAME, port: await freePort() });
    try {
      const from = performance.now();
      await untilCaughtUp(this.url, standby.url);
      await fallBehind(standby.url);
      await sleep(lagMs);
      // At once and to the last session: one that went on would be an old primary that nobody has fenced off.
      await this.end('SIGQUIT');
      await promote(standby.url);
      await standby.stop();
      if (!this.isKept) await rm(this.folder, { recursive: true, force: true });
      this.folder = folder;
      await this.start();
      return { from, to: performance.now() };
    } catch (error) {
      await standby.stop();
      throw error;
    }
  }

  async untilReady() {
    const deadline = performance.now() + READY_MS;
    while (!(await this.pool.query('SELECT 1').catch(() => undefined))) {
      if (performance.now() > deadline) throw new Error(`Postgres does not answer after ${READY_MS / 1_000} s.`);
      await sleep(100);
    }
  }

  /**
   * Waits until a payout has just been claimed, so that the process which did it is likely to be caught before its first
   * byte has left.
   */
  async untilClaimed(withinMs) {
    const deadline = performance.now() + withinMs;
    for (let known; performance.now() < deadline;) {
      const orderIds = await this.claimed();
      if (known && orderIds.some((orderId) => !known.has(orderId))) return;
      known = new Set(orderIds);
    }
  }

  /** The orders of the payouts that are being sent. */
  async claimed() {
    const { rows } = await this.pool.query("SELECT order_id FROM alikassa_payouts WHERE status = 'sending'");
    return rows.map(({ order_id }) => order_id);
  }

  /** Kills one server process: Postgres ends all the others and recovers. */
  async crash() {
    const { rows } = await this.pool.query(
      `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'chaos'
       ORDER BY random() LIMIT 1`,
    );
    if (rows[0]) process.kill(rows[0].pid, 'SIGKILL');
  }

  /** Cuts every connection of the application (57P01). */
  async cut() {
    await this.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND application_name <> 'chaos'`,
    );
  }

  async stop() {
    await this.pool?.end();
    await this.server?.stop();
  }
}
