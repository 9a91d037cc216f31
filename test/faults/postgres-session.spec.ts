import { DataSource, type QueryRunner } from 'typeorm';
import { DatabaseUnavailableError } from '../../src/alikassa.errors.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import { startApplication, type PostgresSettings, type TestApplication } from '../helpers/application.js';
import { blocked, meanwhile } from '../helpers/database.locks.js';
import { eventually } from '../helpers/until.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import {
  create,
  expectNoRecipient,
  expectUnavailable,
  historyOf,
  latch,
  type Accepted,
} from '../helpers/payout.checks.js';
import { StatementFaults } from '../helpers/statement.faults.js';
import { unprotected } from '../helpers/unprotected.js';

const INSERT = 'INSERT INTO "alikassa_payouts"';
const UPDATE = 'UPDATE "alikassa_payouts"';
const LOCK_TABLE = 'LOCK TABLE alikassa_payouts IN SHARE MODE';
const SENT_ONCE = ['created:->queued', 'claimed:queued->sending', 'submission:sending->wait'];
/** Stays `wait` until the test settles it, so that nothing but the submission's own result can move it on. */
const open = (): Record<string, unknown> => payload({ amount: '12.04' });

let host: TestApplication;
let faults: StatementFaults;
const logger = new LogLines();

async function start(
  dataSource: Partial<PostgresSettings> = {},
  options: Partial<AliKassaOptions> = {},
): Promise<void> {
  faults = new StatementFaults();
  host = await startApplication({
    logger,
    options: { leaseMs: 60_000, ...options },
    dataSource: { logger: faults, ...dataSource },
  });
}

afterEach(async () => {
  await host.stop();
  expectNoRecipient(logger);
});

function post(body: Record<string, unknown>) {
  return host.http().post('/alikassa/payouts').send(body);
}

async function rowsOf(...orderIds: unknown[]): Promise<number> {
  const { pool } = host.database;
  return (await pool.query('SELECT 1 FROM alikassa_payouts WHERE order_id = ANY($1)', [orderIds])).rowCount ?? 0;
}

/** Ends well, after whatever happened to it, and by one submission. */
async function expectPaidOnce({ id, orderId }: Accepted, way = SENT_ONCE): Promise<void> {
  await host.until(id, 'wait');
  await host.simulator.settle(orderId, 'paid');
  await host.until(id, 'paid');
  expect((await historyOf(host, id)).slice(0, way.length)).toEqual(way);
  expect([await rowsOf(orderId), host.simulator.accepted(orderId)]).toEqual([1, 1]);
}

/** Sent, and accepted by the provider, whose answer is held until `letGo`. */
async function submitted(): Promise<Accepted & { letGo: () => void }> {
  const body = open();
  const { held, letGo } = latch();
  host.simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
  const payout = await create(host, body);
  await eventually('the provider has it', () => host.simulator.accepted(payout.orderId) === 1);
  return { ...payout, letGo };
}

/** A host's transaction that has created a payout and is not at its end; begun again, as hosts do, if it was rolled back. */
const createdButOpen = (body: Record<string, unknown>) =>
  eventually('a payout is created in an open transaction', async () => {
    const runner = host.app.get(DataSource).createQueryRunner();
    await runner.startTransaction();
    const end = async (how: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
      await (how === 'COMMIT' ? runner.commitTransaction() : runner.rollbackTransaction());
      await runner.release();
    };
    try {
      const { id } = await host.payouts.create(body as never, { manager: runner.manager });
      return { id, end };
    } catch (error) {
      await end('ROLLBACK');
      throw error;
    }
  });

const lockRow = (id: string): string => `SELECT FROM alikassa_payouts WHERE id = '${id}' FOR UPDATE`;

it('81: backend terminated -> create is rolled back and says so, the result is written again', async () => {
  await start();
  const { pool } = host.database;
  const terminate = (pid: number) => pool.query('SELECT pg_terminate_backend($1)', [pid]);
  const body = open();
  await meanwhile(pool, [LOCK_TABLE], async () => {
    const answer = post(body).then((response) => response);
    await terminate((await blocked(pool, INSERT)).pid);
    expectUnavailable(await answer, body);
  });
  expect(await rowsOf(body['order_id'])).toBe(0);
  await expectPaidOnce(await create(host, body));

  const payout = await submitted();
  await meanwhile(pool, [lockRow(payout.id)], async () => {
    payout.letGo();
    const first = await blocked(pool, UPDATE);
    await terminate(first.pid);
    await terminate((await blocked(pool, UPDATE, first)).pid);
  });
  await expectPaidOnce(payout);
  expect(faults.states.filter((state) => state === '57P01')).toHaveLength(3);
});

it("84: idle-in-transaction timeout -> the host's transaction is rolled back, nothing is sent", async () => {
  await start({ extra: { idle_in_transaction_session_timeout: 300 } });
  const [first, second] = [open(), open()];
  const work = host.app.get(DataSource).transaction(async (manager) => {
    await host.payouts.create(first as never, { manager });
    const [{ pid }] = (await manager.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }];
    await eventually('Postgres has ended the session', async () => {
      const { rowCount } = await host.database.pool.query('SELECT FROM pg_stat_activity WHERE pid = $1', [pid]);
      return rowCount === 0;
    });
    await host.payouts.create(second as never, { manager });
  });
  await expect(work).rejects.toThrow(DatabaseUnavailableError);
  expect(await rowsOf(first['order_id'], second['order_id'])).toBe(0);
  await expectPaidOnce(await create(host, first));
  await expectPaidOnce(await create(host, second));
});

it.each([
  ['85: statement timeout -> create is rolled back and says so, the result is written again', '57014', 'statement'],
  ['86: lock timeout -> create is rolled back and says so, the result is written again', '55P03', 'lock'],
])('%s', async (_, state, which) => {
  await start({ extra: { [`${which}_timeout`]: 700 } });
  const { pool } = host.database;
  const body = open();
  await meanwhile(pool, [LOCK_TABLE], async () => expectUnavailable(await post(body), body));
  expect(await rowsOf(body['order_id'])).toBe(0);
  await expectPaidOnce(await create(host, body));

  const payout = await submitted();
  await meanwhile(pool, [lockRow(payout.id)], async () => {
    payout.letGo();
    await blocked(pool, UPDATE, await blocked(pool, UPDATE));
  });
  await expectPaidOnce(payout);
  expect(new Set(faults.states)).toEqual(new Set([state]));
});

it('87: serialization failure -> create says so and its repeat finds the other, the result is written again', async () => {
  await start({ extra: { options: String.raw`-c default_transaction_isolation=repeatable\ read` } });
  const { pool } = host.database;
  const body = open();
  const other = await createdButOpen(body);
  const answer = post(body).then((response) => response);
  await blocked(pool, INSERT);
  await other.end('COMMIT');
  expectUnavailable(await answer, body);
  const found = await create(host, body, 200);
  expect(found.id).toBe(other.id);
  await expectPaidOnce(found);

  const payout = await submitted();
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query('UPDATE alikassa_payouts SET updated_at = updated_at WHERE id = $1', [payout.id]);
  payout.letGo();
  await blocked(pool, UPDATE);
  await client.query('COMMIT');
  client.release();
  await expectPaidOnce(payout);
  expect(new Set(faults.states)).toEqual(new Set(['40001']));
  expect(faults.states.length).toBeGreaterThanOrEqual(2);
});

it('88: deadlock -> the transaction that lost is repeated, the result is written again', async () => {
  // Long enough for the test to close the circle on a busy machine; what waits first looks for one, once, and loses.
  await start({ extra: { options: '-c deadlock_timeout=5s' } });
  const { pool } = host.database;
  const [one, two] = [open(), open()];
  const both = (bodies: [object, object], between: () => Promise<unknown>) =>
    host.app.get(DataSource).transaction(async (manager) => {
      await host.payouts.create(bodies[0] as never, { manager });
      await between();
      await host.payouts.create(bodies[1] as never, { manager });
    });
  const [readyOne, readyTwo] = [latch(), latch()];
  const works = await Promise.allSettled([
    both([one, two], async () => {
      readyOne.letGo();
      await readyTwo.held;
    }),
    both([two, one], async () => {
      readyTwo.letGo();
      await readyOne.held;
      await blocked(pool, INSERT);
    }),
  ]);
  const lost = works.filter((work) => work.status === 'rejected');
  expect(lost.map(({ reason }) => (reason as Error).constructor)).toEqual([DatabaseUnavailableError]);
  await both([one, two], async () => undefined);
  expect(await rowsOf(one['order_id'], two['order_id'])).toBe(2);
  await expectPaidOnce(await create(host, one, 200));
  await expectPaidOnce(await create(host, two, 200));

  const payout = await submitted();
  const key = `alikassa_check:${payout.id}`;
  const statements = [
    `SET LOCAL deadlock_timeout = '1min'`,
    `SELECT alikassa_worker.add_job('alikassa_check', json_build_object('payoutId', '${payout.id}'), job_key := '${key}')`,
  ];
  const client = await pool.connect();
  await client.query('BEGIN');
  for (const statement of statements) await client.query(statement);
  payout.letGo();
  // The application holds the row and waits for the job; now the test, which holds the job, waits for the row.
  await blocked(pool, UPDATE);
  await client.query(lockRow(payout.id));
  await client.query('ROLLBACK');
  client.release();
  await expectPaidOnce(payout);
  expect(faults.states).toEqual(['40P01', '40P01']);
});

it('89: unique violation -> the second of two creates finds the first; a result that violates one is found out', async () => {
  await start({}, { leaseMs: 3_000 });
  const { pool } = host.database;
  const race = async (body: Record<string, unknown>, other: Record<string, unknown>, how: 'COMMIT' | 'ROLLBACK') => {
    const first = await createdButOpen(body);
    const answer = post(other).then((response) => response);
    await blocked(pool, INSERT);
    await first.end(how);
    return (await answer).status;
  };
  const [same, differing, rolledBack] = [open(), open(), open()];
  expect(await race(same, same, 'COMMIT')).toBe(200);
  expect(await race(differing, { ...differing, amount: '13.04' }, 'COMMIT')).toBe(409);
  expect(await race(rolledBack, rolledBack, 'ROLLBACK')).toBe(201);
  for (const body of [same, differing, rolledBack]) await expectPaidOnce(await create(host, body, 200));

  const payout = await submitted();
  await pool.query(`CREATE UNIQUE INDEX once ON alikassa_payout_events (payout_id, attempt) WHERE type = 'submission'`);
  await unprotected(
    pool,
    `INSERT INTO alikassa_payout_events (payout_id, type, to_status, attempt) VALUES ($1, 'submission', 'sending', 1)`,
    [payout.id],
  );
  payout.letGo();
  await host.until(payout.id, 'wait');
  const way = ['created:->queued', 'claimed:queued->sending', 'submission:->sending', 'lease_expired:sending->unknown'];
  await expectPaidOnce(payout, way);
  // Repeating it would not have helped.
  expect(faults.states).toEqual(['23505']);
});

it('91: pool exhausted -> create says so, the result is written again', async () => {
  // One sweep at the start, so that later nobody but the result waits for a connection.
  await start({ poolSize: 2, connectTimeoutMS: 300 }, { worker: { sweepIntervalMs: 60_000 } });
  const dataSource = host.app.get(DataSource);
  /** Whatever else the host does holds every connection. */
  const exhausted = async (work: () => Promise<void>): Promise<void> => {
    const runners: QueryRunner[] = [dataSource.createQueryRunner(), dataSource.createQueryRunner()];
    await Promise.all(runners.map((runner) => runner.connect()));
    await work();
    await Promise.all(runners.map((runner) => runner.release()));
  };
  const body = open();
  await exhausted(async () => {
    expectUnavailable(await post(body), body);
    expect((await host.http().get('/alikassa/payouts')).status).toBe(503);
  });
  expect(await rowsOf(body['order_id'])).toBe(0);
  await expectPaidOnce(await create(host, body));

  const payout = await submitted();
  const { master } = dataSource.driver as unknown as { master: { waitingCount: number } };
  await exhausted(async () => {
    for (const times of [1, 2]) {
      if (times === 1) payout.letGo();
      await eventually('the result waits for a connection', () => master.waitingCount > 0);
      await eventually('it waits no more', () => master.waitingCount === 0);
    }
  });
  await expectPaidOnce(payout);
});
