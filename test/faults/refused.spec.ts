import { HealthIndicatorService } from '@nestjs/terminus';
import { PayoutHealthIndicator } from '../../src/terminus/index.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create } from '../helpers/payout.checks.js';
import { eventually } from '../helpers/until.js';

let host: TestApplication;
let logger: LogLines;
beforeEach(async () => {
  logger = new LogLines();
  host = await startApplication({
    logger,
    providers: [HealthIndicatorService, PayoutHealthIndicator],
    options: { worker: { sweepIntervalMs: 200 } },
  });
});
afterEach(async () => host.stop());

const sql = (statement: string) => host.database.pool.query(statement);
const health = async () => (await host.app.get(PayoutHealthIndicator).isHealthy('payouts')).payouts;
const linesOf = (text: string): number => logger.lines.filter((line) => line.includes(text)).length;

it.each([
  ['23514', 'ALTER TABLE alikassa_payouts ADD CONSTRAINT no_more CHECK (false) NOT VALID', 'DROP CONSTRAINT no_more'],
  ['42703', 'ALTER TABLE alikassa_payouts RENAME COLUMN service TO away', 'RENAME COLUMN away TO service'],
  ['42P01', 'ALTER TABLE alikassa_payouts RENAME TO away', ''],
  [
    '42P10',
    'ALTER TABLE alikassa_payouts DROP CONSTRAINT alikassa_payouts_order_id_key',
    'ADD CONSTRAINT alikassa_payouts_order_id_key UNIQUE (instance, order_id)',
  ],
])('a permanent database error %s says so, and never asks for a repeat', async (state, fault, mend) => {
  await sql(fault);
  const body = payload();
  const { status, body: answer } = await host.http().post('/alikassa/payouts').send(body);
  expect([status, answer]).toMatchObject([500, { statusCode: 500, code: 'database_refused' }]);
  const { message } = answer as { message: string };
  expect(message).toContain(`(${state})`);
  expect(message).not.toMatch(/repeat the call|idempotent/);
  expect(JSON.stringify(answer)).not.toContain(body['number']);
  expect(JSON.stringify(answer)).not.toContain(body['order_id']);
  expect(await health()).toMatchObject({
    status: 'down',
    database: 'refusing',
    refused: expect.arrayContaining([state]),
  });
  await sql(mend ? `ALTER TABLE alikassa_payouts ${mend}` : 'ALTER TABLE away RENAME TO alikassa_payouts');
  const { id } = await create(host, body);
  await host.until(id, 'paid');
  await eventually('health is up again', async () => (await health()).database === 'up');
});

it('142: a permanent database error (22P05 in a database of another encoding) -> an error that says so', async () => {
  // Stands in for the encoding: the state is Postgres' own.
  await sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22P05', DETAIL = 'Failing row contains (' || NEW || ')'; END $$`);
  await sql('CREATE TRIGGER refuse BEFORE INSERT ON alikassa_payouts FOR EACH ROW EXECUTE FUNCTION refuse()');
  const body = payload();
  const { status, text } = await host.http().post('/alikassa/payouts').send(body);
  expect(status).toBe(500);
  expect(text).toMatch(/database_refused/);
  expect(text).toMatch(/22P05.*UTF8/);
  expect(text).not.toMatch(/repeat the call|Failing row/);
  expect([text, ...logger.lines].join('\n')).not.toContain(body['number']);
  // One text that cannot be stored says nothing of the others.
  expect(await health()).toMatchObject({ status: 'up' });
});

it('155: Postgres is read only, full, or refuses every insert -> logged at a bounded rate, health says so', async () => {
  const name = new URL(host.database.url).pathname.slice(1);
  await sql(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name <> 'test'`);
  await eventually('health says that it is read only', async () => {
    const { status, database, refused, problems } = await health();
    return (
      status === 'down' && database === 'refusing' && String(refused) === '25006' && /read only/.test(String(problems))
    );
  });
  const began = performance.now();
  for (let one = 0; one < 200; one += 1) {
    const { status } = await host.http().post('/alikassa/payouts').send(payload());
    expect(status).toBe(503);
  }
  const periods = 1 + (performance.now() - began) / 10_000;
  expect(linesOf('refuses a statement (25006)')).toBeGreaterThan(0);
  expect(linesOf('25006') + linesOf('read-only')).toBeLessThan(10 * periods + 10);
  await sql('SET default_transaction_read_only = off');
  await host.database.pool.query(
    `BEGIN READ WRITE; ALTER DATABASE ${name} RESET default_transaction_read_only; COMMIT`,
  );
  await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name <> 'test'`);
  const { id } = await create(host, payload());
  await host.until(id, 'paid');
  await eventually('health is up again', async () => (await health()).database === 'up');
}, 90_000);
