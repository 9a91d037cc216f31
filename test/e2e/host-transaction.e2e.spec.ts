import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AliKassaSimulator, generateTestKeys, TEST_ACCOUNT } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { ExampleHost } from '../helpers/example.process.js';
import { closedGate } from '../helpers/gate.js';
import { until } from '../helpers/until.js';

let database: TestDatabase;
let simulator: AliKassaSimulator;
let host: ExampleHost;
let url: string;
const folder = mkdtempSync(join(tmpdir(), 'alikassa-example-'));

beforeEach(async () => {
  const [keys, port] = await Promise.all([generateTestKeys(), freePort()]);
  database = await createTestDatabase();
  // The example makes its tables itself.
  await database.pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA alikassa_worker CASCADE');
  simulator = await new AliKassaSimulator({
    payoutPublicKey: keys.payout.publicKey,
    notificationPrivateKey: keys.notification.privateKey,
    accounts: [TEST_ACCOUNT],
  }).start();
  writeFileSync(join(folder, 'private.pem'), keys.payout.privateKey);
  writeFileSync(join(folder, 'password.txt'), keys.payout.passphrase);
  writeFileSync(join(folder, 'notifications.pem'), keys.notification.publicKey);
  url = `http://127.0.0.1:${port}`;
  host = new ExampleHost({
    KEYS: folder,
    DATABASE_URL: database.adminUrl,
    ACCOUNT: TEST_ACCOUNT.uuid,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    ALIKASSA_BASE_URL: simulator.url,
    NOTIFICATION_URL: `${url}/alikassa/notifications`,
    PORT: String(port),
  });
  await host.start();
  await query("INSERT INTO balances VALUES ('ann', 1000)");
});
afterEach(async () => {
  await host.remove();
  await simulator.stop();
  await database.drop();
});
afterAll(() => rmSync(folder, { recursive: true }));

const query = async (sql: string): Promise<Record<string, unknown>[]> =>
  (await database.pool.query<Record<string, unknown>>(sql)).rows;
const balance = async (): Promise<unknown> => (await query('SELECT amount FROM balances'))[0]?.['amount'];
const count = async (table: string): Promise<number> => (await query(`SELECT 1 FROM ${table}`)).length;

async function withdraw(): Promise<number> {
  const body = JSON.stringify({ orderId: 'A-1', userId: 'ann', amount: '300.00', number: '4111111111111111' });
  const headers = { 'content-type': 'application/json' };
  return fetch(`${url}/withdrawals`, { method: 'POST', headers, body }).then(
    ({ status }) => status,
    () => 0,
  );
}

it.each([
  ['as the payout is written', 'TRIGGER wait_here BEFORE INSERT ON alikassa_payouts FOR EACH ROW'],
  [
    'as the transaction commits',
    'CONSTRAINT TRIGGER wait_here AFTER INSERT ON withdrawals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW',
  ],
])('leaves neither debit nor payout if the process is killed %s, and a repeat makes one of each', async (_, place) => {
  const gate = await closedGate(database, place);
  const answer = withdraw();
  await gate.reached();
  await host.kill('SIGKILL');
  await gate.terminate();
  await gate.open();
  expect([await answer, await balance(), await count('alikassa_payouts')]).toEqual([0, '1000', 0]);
  await host.start();
  expect([await withdraw(), await withdraw()]).toEqual([201, 201]);
  expect([await balance(), await count('alikassa_payouts')]).toEqual(['700.00', 1]);
  await until(async () => (await query("SELECT 1 FROM alikassa_payouts WHERE status = 'paid'")).length === 1);
  expect([simulator.accepted('A-1'), await balance()]).toEqual([1, '700.00']);
});

it.each([
  ['after the end was committed, before the handler', 'BEFORE UPDATE ON alikassa_deliveries FOR EACH ROW', '700.00'],
  ['in the middle of the handler', 'AFTER UPDATE ON balances FOR EACH ROW WHEN (NEW.amount > OLD.amount)', '700.00'],
  [
    'after the handler has committed, before that is noted',
    'AFTER DELETE ON alikassa_deliveries FOR EACH ROW',
    '1000.00',
  ],
])('credits back exactly once if the process is killed %s', async (_moment, place, atDeath) => {
  simulator.nextPayout().isFailed();
  const gate = await closedGate(database, `TRIGGER wait_here ${place}`);
  expect(await withdraw()).toBe(201);
  await gate.reached();
  await host.kill('SIGKILL');
  await gate.terminate();
  expect([await balance(), await count('alikassa_deliveries')]).toEqual([atDeath, 1]);
  await gate.open();
  // The call that had begun, and its job, are taken to be alive for a while: that time is over.
  await query("UPDATE alikassa_deliveries SET due_at = now() - interval '1 min'");
  await query("UPDATE alikassa_worker._private_jobs SET locked_at = now() - interval '1 hour'");
  await host.start();
  await until(async () => (await count('alikassa_deliveries')) === 0);
  expect([await balance(), await count('credits'), simulator.accepted('A-1')]).toEqual(['1000.00', 1, 1]);
});
