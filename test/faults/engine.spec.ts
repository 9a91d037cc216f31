import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { createWorkerPool } from '../../src/worker/worker.pool.js';
import { WorkerService } from '../../src/worker/worker.service.js';
import { prepare, startApplication, type TestApplication } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, expectUnavailable, latch, type Accepted } from '../helpers/payout.checks.js';
import { startPostgresServer } from '../helpers/postgres.server.js';
import { startTwoHosts, type TwoHosts } from '../helpers/two.hosts.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** Five seconds are promised, on a machine that has nothing else to do. */
const WORKS_AGAIN_MS = 10_000;
const STOPPED_MS = 5_000;

/** More submissions in flight than one process takes are proof that both send. */
const CONCURRENCY = 3;
const OPTIONS = { worker: { sweepIntervalMs: 500, concurrency: CONCURRENCY } };

async function expectBothWork(two: TwoHosts): Promise<void> {
  const began = Date.now();
  const inFlight = await two.submit(CONCURRENCY + 1);
  inFlight.forEach(({ letGo }) => letGo());
  expect(new Set(await two.paid(inFlight))).toEqual(new Set([1]));
  expect(Date.now() - began).toBeLessThan(WORKS_AGAIN_MS);
  for (const { ended } of two.hosts) {
    expect(await Promise.race([ended, Promise.resolve('running')])).toBe('running');
  }
}

/**
 * Lets every free place of both engines run a job that waits for a lock, so that it fails where its session ends: an
 * engine that cannot say so to Postgres ends.
 */
async function occupyEngines({ database }: TwoHosts, { id }: Accepted, places: number): Promise<void> {
  const client = new pg.Client({ connectionString: database.url, application_name: 'test' });
  client.on('error', () => undefined);
  await client.connect();
  cleanups.push(async () => client.end().catch(() => undefined));
  await client.query('BEGIN');
  await client.query('LOCK TABLE alikassa_payouts IN ACCESS EXCLUSIVE MODE');
  const addJob = `SELECT alikassa_worker.add_job('alikassa_submit', json_build_object('payoutId', $1::uuid))`;
  // More than there are places: an engine may take some that it has no place for.
  for (let job = 0; job < 4 * places; job += 1) await database.pool.query(addJob, [id]);
  await eventually('every place is taken', async () => {
    const { rowCount } = await database.pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return (rowCount ?? 0) >= places;
  });
}

/** From outside the test's database. */
async function onServer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.ALIKASSA_TEST_SERVER_URL });
  await client.connect();
  await work(client);
  await client.end();
}

const terminateAll = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid()`;

it('104: Postgres stopped for 5 s, then back -> every process works again, none is started again', async () => {
  const server = await startPostgresServer();
  cleanups.push(async () => server.remove());
  const two = await startTwoHosts({ database: await server.createDatabase(), options: OPTIONS });
  cleanups.push(async () => two.stop());
  const before = await two.submit(2);
  await occupyEngines(two, before[0]!, 2 * CONCURRENCY - before.length);
  await server.stop();
  const body = payload();
  for (const host of two.hosts) expectUnavailable(await host.http().post('/alikassa/payouts').send(body), body);
  before.forEach(({ letGo }) => letGo());
  await sleep(STOPPED_MS);
  await server.start();
  await expectBothWork(two);
  expect(await two.paid(before)).toEqual([1, 1]);
}, 90_000);

it('105: all backends terminated while jobs run -> every process works again, no job stays locked', async () => {
  const two = await startTwoHosts({ options: OPTIONS });
  cleanups.push(async () => two.stop());
  const { pool } = two.database;
  const before = await two.submit(2);
  await occupyEngines(two, before[0]!, 2 * CONCURRENCY - before.length);
  await pool.query(terminateAll);
  before.forEach(({ letGo }) => letGo());
  await expectBothWork(two);
  expect(await two.paid(before)).toEqual([1, 1]);
  await eventually('no job is locked, and none is left of a payout that has ended', async () => {
    const { rows } = await pool.query<{ task: string; locked: boolean }>(
      `SELECT task_identifier AS task, locked_at IS NOT NULL AS locked FROM alikassa_worker.jobs`,
    );
    return rows.every(({ task, locked }) => !locked && task === 'alikassa_sweep');
  });
}, 90_000);

/** Ends the engine as it ends by itself: where a job that was done cannot be marked as done. @returns that payout. */
async function restartEngine(host: TestApplication): Promise<Accepted> {
  const { letGo, ...payout } = await submitted(host);
  const name = new URL(host.database.url).pathname.slice(1);
  const allow = (allowed: boolean) =>
    onServer((client) => client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`));
  const worker = host.app.get(WorkerService);
  expect(worker.isRunning).toBe(true);
  await allow(false);
  await onServer((client) =>
    client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'alikassa-worker'`,
      [name],
    ),
  );
  letGo();
  await eventually('health says that it does not run', () => !worker.isRunning);
  await allow(true);
  await eventually('health says that it runs again', () => worker.isRunning);
  return payout;
}

async function submitted(host: TestApplication) {
  const body = payload({ amount: '12.04' });
  const { held, letGo } = latch();
  host.simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
  const payout = await create(host, body);
  await eventually('the provider has it', () => host.simulator.accepted(payout.orderId) === 1);
  return { ...payout, letGo };
}

it('106: the runner ends by itself -> a new one starts, and health says so meanwhile', async () => {
  const host = await startApplication({ logger: new LogLines() });
  cleanups.push(async () => host.stop());
  const payout = await restartEngine(host);
  await host.until(payout.id, 'wait');
  await host.simulator.settle(payout.orderId, 'paid');
  await host.until(payout.id, 'paid');
  const next = await create(host, payload());
  await host.until(next.id, 'paid');
  expect([payout, next].map(({ orderId }) => host.simulator.accepted(orderId))).toEqual([1, 1]);
}, 60_000);

it('what an engine that has ended left running is drained with the application', async () => {
  const around = await prepare({ options: { timeoutMs: 60_000, leaseMs: 90_000 } });
  cleanups.push(async () => around.stop());
  const host = await startApplication({ surroundings: around, port: around.port, logger: new LogLines() });
  const { id, letGo } = await submitted(host);
  await restartEngine(host);
  const stopping = host.stop();
  // Time enough to end for an application that does not wait.
  await sleep(1_000);
  letGo();
  await stopping;
  const { rows } = await around.database.pool.query('SELECT status FROM alikassa_payouts WHERE id = $1', [id]);
  expect(rows).toEqual([{ status: 'wait' }]);
}, 60_000);

it('a connection that the engine gives back twice, as when it is lost in a shutdown, ends no process', async () => {
  const host = await startApplication({ options: { worker: { enabled: false } } });
  cleanups.push(async () => host.stop());
  const pool = createWorkerPool(host.app.get(DataSource), 1);
  cleanups.push(async () => pool.end());
  await new Promise<void>((done, fail) => {
    pool.connect((_, __, release) => {
      try {
        release();
        release();
        done();
      } catch (error) {
        fail(error as Error);
      }
    });
  });
  // It is there once, and works.
  expect([pool.idleCount, (await pool.query('SELECT 1')).rowCount, pool.totalCount]).toEqual([1, 1, 1]);
});
