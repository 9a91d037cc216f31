import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { WorkerService } from '../../src/worker/worker.service.js';
import { startApplication } from '../helpers/application.js';
import { eventually } from '../helpers/eventually.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, expectUnavailable, latch } from '../helpers/payout.checks.js';
import { startPostgresServer } from '../helpers/postgres.server.js';
import { startTwoHosts, type TwoHosts } from '../helpers/two.hosts.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** Five seconds are promised, on a machine that has nothing else to do. */
const WORKS_AGAIN_MS = 10_000;
const STOPPED_MS = 5_000;

/** One job at a time each: two submissions in flight at once are proof that both processes send. */
const ONE_AT_A_TIME = { worker: { sweepIntervalMs: 500, concurrency: 1 } };

async function expectBothWork(two: TwoHosts): Promise<void> {
  const began = Date.now();
  const inFlight = await two.submit(2);
  inFlight.forEach(({ letGo }) => letGo());
  expect(await two.paid(inFlight)).toEqual([1, 1]);
  expect(Date.now() - began).toBeLessThan(WORKS_AGAIN_MS);
  for (const { ended } of two.hosts) {
    expect(await Promise.race([ended, Promise.resolve('running')])).toBe('running');
  }
}

/** From outside the test's database. */
async function onServer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: process.env.ALIKASSA_TEST_SERVER_URL });
  await client.connect();
  await work(client);
  await client.end();
}

const terminateAll = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name <> 'test'`;

it('104: Postgres stopped for 5 s, then back -> every process works again, none is started again', async () => {
  const server = await startPostgresServer();
  cleanups.push(async () => server.remove());
  const two = await startTwoHosts({ database: await server.createDatabase(), options: ONE_AT_A_TIME });
  cleanups.push(async () => two.stop());
  const before = await two.submit(2);
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
  const two = await startTwoHosts({ options: ONE_AT_A_TIME });
  cleanups.push(async () => two.stop());
  const { pool } = two.database;
  const before = await two.submit(2);
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

it('106: the runner ends by itself -> a new one starts, and health says so meanwhile', async () => {
  const host = await startApplication({ logger: new LogLines() });
  cleanups.push(async () => host.stop());
  const name = new URL(host.database.url).pathname.slice(1);
  const allow = (allowed: boolean) =>
    onServer((client) => client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`));
  const worker = host.app.get(WorkerService);
  expect(worker.isRunning).toBe(true);

  // It ends where a job that was done cannot be marked as done.
  const body = payload();
  const { held, letGo } = latch();
  host.simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
  const payout = await create(host, body);
  await eventually('the provider has it', () => host.simulator.accepted(payout.orderId) === 1);
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

  await host.until(payout.id, 'paid');
  const next = await create(host, payload());
  await host.until(next.id, 'paid');
  expect([payout, next].map(({ orderId }) => host.simulator.accepted(orderId))).toEqual([1, 1]);
}, 60_000);
