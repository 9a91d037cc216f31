import { DataSource } from 'typeorm';
import type { AliKassaError } from '../../src/alikassa.errors.js';
import {
  prepare,
  startApplication,
  type TestApplication,
  type TestSetup,
  type TestSurroundings,
} from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create } from '../helpers/payout.checks.js';
import { unprotected } from '../helpers/unprotected.js';
import { eventually } from '../helpers/until.js';

/** A host whose DataSource has no timeouts of its own, as hosts have them. */
let host: TestApplication;
let forget: (() => Promise<void>)[] = [];
const logger = new LogLines();
let around: TestSurroundings | undefined;
afterEach(async () => {
  for (const end of forget.splice(0)) await end();
  await host.stop();
  await around?.stop();
  around = undefined;
});

async function start(setup: TestSetup = {}): Promise<void> {
  host = await startApplication({
    logger,
    ...setup,
    options: { worker: { sweepIntervalMs: 300 }, ...setup.options },
  });
}

/** A transaction that somebody has forgotten to end. */
async function forgotten(...statements: string[]): Promise<void> {
  const client = await host.database.pool.connect();
  await client.query('BEGIN');
  for (const statement of statements) await client.query(statement);
  forget.push(async () => {
    await client.query('ROLLBACK');
    client.release();
  });
}
const backends = async (like: string): Promise<number> => {
  const { rows } = await host.database.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
     WHERE datname = current_database() AND application_name <> 'test' AND state = 'active' AND query LIKE $1`,
    [like],
  );
  return rows[0]?.count ?? 0;
};

it('115: a row that a forgotten transaction holds -> the sweep goes past it, and everything else goes on', async () => {
  around = await prepare({});
  host = await startApplication({
    surroundings: around,
    port: around.port,
    logger,
    options: { worker: { enabled: false } },
  });
  const bodies = [1, 2, 3].map(() => payload({ amount: '12.04' }));
  const [first, second, third] = [
    await create(host, bodies[0]!),
    await create(host, bodies[1]!),
    await create(host, bodies[2]!),
  ];
  // Their process has died while it sent them.
  await unprotected(
    host.database.pool,
    `UPDATE alikassa_payouts SET status = 'sending', attempt = 1, possibly_sent = true, lease_until = now() - interval '1 min'`,
  );
  await host.database.pool.query('DELETE FROM alikassa_worker._private_jobs');
  await forgotten(`SELECT FROM alikassa_payouts WHERE id = '${first.id}' FOR UPDATE`);
  const worker = await startApplication({
    surroundings: { ...around, port: 0 },
    logger,
    options: { worker: { sweepIntervalMs: 300 } },
  });
  try {
    await host.until(second.id, 'unknown');
    await host.until(third.id, 'unknown');
    const next = await create(host, payload());
    await host.until(next.id, 'paid');
    await forget.pop()?.();
    await host.until(first.id, 'unknown');
  } finally {
    await worker.app.close();
  }
}, 60_000);

it('116: no lock_timeout in the host, and a table that is held -> sweeps do not pile up, at most one runs', async () => {
  await start();
  await forgotten('LOCK TABLE alikassa_deliveries IN ACCESS EXCLUSIVE MODE');
  let most = 0;
  const until = performance.now() + 16_000;
  await eventually('time goes by', async () => {
    // The sweep's statement about calls, and no other, needs the table.
    most = Math.max(most, await backends('%alikassa_deliveries%'));
    return performance.now() > until;
  });
  expect(most).toBe(1);
  const next = await create(host, payload());
  await host.until(next.id, 'paid');
}, 60_000);

it('117: repeats of an order_id whose first create waits in an open transaction -> other creates go on', async () => {
  await start();
  const body = payload();
  const runner = host.app.get(DataSource).createQueryRunner();
  await runner.startTransaction();
  const { id } = await host.payouts.create(body as never, { manager: runner.manager });
  // Each finds the first, or is told to repeat.
  const repeats: Promise<string>[] = [];
  const again = (): Promise<string> =>
    host.payouts.create(body as never).then(
      ({ id: found }) => found,
      (error: AliKassaError) => error.code,
    );
  const repeat = setInterval(() => {
    for (let one = 0; one < 20; one += 1) repeats.push(again());
  }, 50);
  try {
    for (let one = 0; one < 40; one += 1) {
      const began = performance.now();
      const { id: other } = await host.payouts.create(payload() as never);
      expect(performance.now() - began).toBeLessThan(3_000);
      if (one === 39) await host.until(other, 'paid');
      expect(await backends('%INSERT INTO "alikassa_payouts"%')).toBeLessThan(5);
    }
  } finally {
    clearInterval(repeat);
    await runner.commitTransaction();
    await runner.release();
  }
  const answers = await Promise.all(repeats);
  expect(answers.filter((answer) => answer !== id && answer !== 'database_unavailable')).toEqual([]);
  expect((await host.payouts.create(body as never)).id).toBe(id);
}, 90_000);

it('what a statement leaves behind that is cut is ended by Postgres, too', async () => {
  around = await prepare({});
  host = await startApplication({
    surroundings: around,
    port: around.port,
    logger,
    options: { worker: { enabled: false } },
  });
  await forgotten('LOCK TABLE alikassa_payouts IN ACCESS EXCLUSIVE MODE');
  await expect(host.payouts.create(payload() as never)).rejects.toMatchObject({ code: 'database_unavailable' });
  await eventually('nobody waits for the table', async () => (await backends('%alikassa_payouts%')) === 0);
}, 60_000);
