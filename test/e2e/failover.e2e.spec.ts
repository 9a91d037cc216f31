import { randomUUID } from 'node:crypto';

import { appendFile, chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import type { TestDatabase } from '../helpers/database.js';
import { startFailoverPair } from '../helpers/failover.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { startPostgresServer, type PostgresServer } from '../helpers/postgres.server.js';
import { coldCopy, one } from '../helpers/standby.js';
import { submissionsOf } from '../helpers/submissions.js';
import { eventually } from '../helpers/until.js';

const COUNT = 40;
const orders = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
/** Stays `wait`, without a notification. */
const create = ({ payouts }: TestApplication, order_id: string) =>
  payouts.create(payload({ order_id, amount: '12.04' }) as never);
const sent = ({ simulator }: Pick<TestSurroundings, 'simulator'>, orderIds: string[]): string[] =>
  orderIds.filter((orderId) => submissionsOf(simulator, orderId) > 0);

describe('a synchronous standby', () => {
  it('has every claim before its payout is sent, so that nothing is in doubt when it is promoted', async () => {
    const pair = await startFailoverPair({
      options: { worker: { concurrency: 4, sweepIntervalMs: 500 }, checkSchedule: [200, 300, 400, 10_000] },
      simulator: { latencyMs: 50 },
    });
    const { primary, copy, simulator } = pair;
    await one(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    await one(primary.url, 'SELECT pg_reload_conf()');
    await eventually('the standby is synchronous', async () => {
      return (
        (await one<{ sync_state: string }>(primary.url, 'SELECT sync_state FROM pg_stat_replication')).sync_state ===
        'sync'
      );
    });
    const host = await startApplication({ surroundings: pair, port: pair.port, logger: new LogLines() });
    const old = orders(COUNT);
    await Promise.all(old.map((orderId) => create(host, orderId)));
    await eventually('half of them are sent', () => sent(pair, old).length >= COUNT / 2);
    await primary.crash();
    const { rows } = await copy.query<{ order_id: string }>('SELECT order_id FROM alikassa_payouts WHERE attempt = 0');
    const inDoubt = sent(
      { simulator },
      rows.map(({ order_id }) => order_id),
    );
    expect(inDoubt).toEqual([]);
    expect(await copy.query('SELECT FROM alikassa_payouts')).toMatchObject({ rowCount: COUNT });
    await pair.failOver();
    const all = await pair.untilAtRest();
    expect(old.map((orderId) => all.get(orderId)?.status)).toEqual(old.map(() => 'wait'));
    expect([...all.values()].filter(({ attention }) => attention !== null)).toEqual([]);
    expect(pair.submissions(old)).toEqual(old.map(() => 1));
    await host.stop();
    await pair.stop();
  }, 120_000);
});

describe('a database that was restored, and that nobody has recovered', () => {
  it('to a point in time: what was queued in the backup is asked about before it is sent', async () => {
    const server = await startPostgresServer();
    const made = await server.createDatabase();
    const around = await prepare({ database: { ...made, drop: () => made.pool.end() } });
    const accepting = await startApplication({ surroundings: around, options: { worker: { enabled: false } } });
    const old = orders(20);
    for (const orderId of old) await create(accepting, orderId);
    await accepting.stop();
    const folder = await coldCopy(server);
    await recoverToItsEnd(folder);

    const [lost = ''] = orders(1);
    const busy = await startApplication({ surroundings: around });
    await create(busy, lost);
    await eventually('all are sent', () => sent(around, [...old, lost]).length === 21);
    await busy.stop();
    await server.stop();

    const restored = await startPostgresServer(folder);
    const database = databaseOn(restored, made.url);
    const host = await startApplication({ surroundings: { ...around, database } });
    const fresh = orders(2);
    for (const orderId of [lost, ...fresh]) await create(host, orderId);
    const all = [...old, lost, ...fresh];
    await eventually('nothing is on its way', async () => {
      const sql = "SELECT FROM alikassa_payouts WHERE status NOT IN ('wait', 'paid')";
      return (await database.pool.query(sql)).rowCount === 0;
    });
    expect(all.map((orderId) => submissionsOf(around.simulator, orderId))).toEqual(all.map(() => 1));
    await host.stop();
    await database.drop();
    await restored.remove();
    await server.remove();
    await around.stop();
  }, 120_000);
});

/** Makes a copy of a server's files begin as one that is restored to a point in time. */
async function recoverToItsEnd(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const { uid, gid } = await stat(data);
  await appendFile(join(data, 'postgresql.auto.conf'), "restore_command = 'false'\n");
  const signal = join(data, 'recovery.signal');
  await writeFile(signal, '');
  await chown(signal, uid, gid);
}

function databaseOn(server: PostgresServer, url: string): TestDatabase {
  const there = Object.assign(new URL(server.url), { pathname: new URL(url).pathname }).href;
  const pool = new pg.Pool({ connectionString: there, max: 3 });
  pool.on('error', () => undefined);
  return { url: there, adminUrl: there, pool, drop: () => pool.end() };
}
