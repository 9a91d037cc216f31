import { prepare, type TestSurroundings } from '../helpers/application.js';
import { closedGate } from '../helpers/gate.js';
import { startHostProcess, type HostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';

let surroundings: TestSurroundings;
let host: HostProcess;
beforeEach(async () => {
  surroundings = await prepare({ options: { leaseMs: 3_000 } });
  await query('CREATE TABLE handled (event_id text, payout_id uuid)');
});
afterEach(async () => {
  await host.kill('SIGTERM');
  await surroundings.stop();
});

const query = async (sql: string): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql)).rows;
async function start(): Promise<void> {
  const { database, port, options } = surroundings;
  host = await startHostProcess({ databaseUrl: database.url, port, options, hasHandler: true });
}
async function create(): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(payload({ order_id: 'handled' }));
  await fetch(`${host.url}/alikassa/payouts`, { method: 'POST', headers, body });
}
/** The event that a call is owed for, and its payout, as the handler writes them down. */
const owed = () =>
  query(`SELECT key::text AS event_id, payout_id FROM alikassa_deliveries
    JOIN alikassa_payout_events e ON e.id = event_id WHERE to_status = 'paid'`);
const handled = () => query('SELECT event_id, payout_id FROM handled');

it.each([
  [
    '11: killed after the result was committed, before the handler was called -> called after restart, with the same event id',
    // Every call is taken by an update.
    'TRIGGER wait_here BEFORE UPDATE ON alikassa_deliveries FOR EACH ROW',
  ],
  ['killed while the handler runs: it is called again', 'TRIGGER wait_here BEFORE INSERT ON handled FOR EACH ROW'],
])('%s', async (_name, moment) => {
  const gate = await closedGate(surroundings.database, moment);
  await start();
  await create();
  await gate.reached();
  await host.kill('SIGKILL');
  // Nothing tells Postgres of the death while it waits: without this the statement would be carried out.
  await gate.terminate();
  const calls = await owed();
  expect([calls.length, await handled()]).toEqual([1, []]);
  await gate.open();
  // The call that had begun is taken to be alive for a while: that time is over.
  await query("UPDATE alikassa_deliveries SET due_at = now() - interval '1 min'");
  await start();
  await until(async () => (await owed()).length === 0);
  expect(await handled()).toEqual(calls);
  expect(surroundings.simulator.accepted('handled')).toBe(1);
});
