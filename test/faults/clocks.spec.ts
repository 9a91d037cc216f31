import { prepare, type TestSurroundings } from '../helpers/application.js';
import { startHostProcess, type HostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { latch } from '../helpers/payout.checks.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

const HOUR = 3_600_000;
const LEASE_MS = 90_000;
/** Loaded before everything else: the process's clock is off. */
const clockOffBy = (ms: number): Record<string, string> => ({
  NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(`
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...parts) { if (parts.length) super(...parts); else super(Real.now() + ${ms}); }
      static now() { return Real.now() + ${ms}; }
    };`)}"`,
});

let surroundings: TestSurroundings;
let node: HostProcess;
/** What the provider's answers to submissions wait for. */
const { held, letGo } = latch();
beforeAll(async () => {
  // Leases far longer than the test: they end when the test says so.
  surroundings = await prepare({ options: { timeoutMs: 60_000, leaseMs: LEASE_MS } });
  surroundings.simulator.script({ on: 'payout', times: 100, hold: held, notification: 'lost' });
});
afterAll(async () => {
  letGo();
  await node.kill('SIGTERM');
  await surroundings.stop();
});

const query = async (sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql, values)).rows;
const statusOf = async (orderId: string): Promise<unknown> =>
  (await query('SELECT status FROM alikassa_payouts WHERE order_id = $1', orderId))[0]?.['status'];
async function start(ms: number): Promise<void> {
  const { database, port, options } = surroundings;
  node = await startHostProcess({ databaseUrl: database.url, port, options, env: clockOffBy(ms) });
}
/** A payout whose submission is under way. */
async function submitted(order_id: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(payload({ order_id }));
  await fetch(`${node.url}/alikassa/payouts`, { method: 'POST', headers, body });
  await until(() => surroundings.simulator.accepted(order_id) === 1);
}
/** Its lease is over, by the database's clock; the sweep comes to it last. */
const endLease = (orderId: string): Promise<unknown> =>
  query(
    `UPDATE alikassa_payouts SET lease_until = clock_timestamp() - interval '1 ms', due_at = 'infinity'
     WHERE order_id = $1`,
    orderId,
  );

it('101: the clock is off by an hour on one node -> leases hold, by the time of the database', async () => {
  for (const [name, ms] of [
    ['ahead', HOUR],
    ['behind', -HOUR],
  ] as const) {
    await start(ms);
    await submitted(`${name}-over`);
    await submitted(`${name}-held`);
    await endLease(`${name}-over`);
    // It alone sweeps: what is over by the database's clock is over, and no other lease is.
    await until(async () => ['unknown', 'paid'].includes(String(await statusOf(`${name}-over`))));
    expect([await statusOf('ahead-held'), await statusOf(`${name}-held`)]).toEqual(['sending', 'sending']);
    await node.kill('SIGKILL');
  }
  const leases = await query(
    `SELECT order_id, lease_until BETWEEN claimed.created_at AND claimed.created_at + $1 * interval '1 ms' AS in_time
     FROM alikassa_payouts p JOIN alikassa_payout_events claimed ON p.id = payout_id AND type = 'claimed'
     WHERE status = 'sending' ORDER BY seq`,
    LEASE_MS,
  );
  expect(leases).toEqual([
    { order_id: 'ahead-held', in_time: true },
    { order_id: 'behind-held', in_time: true },
  ]);
  await endLease('ahead-held');
  await endLease('behind-held');
  await start(0);
  for (const name of ['ahead-over', 'ahead-held', 'behind-over', 'behind-held']) {
    await until(async () => (await statusOf(name)) === 'paid');
    expect(submissionsOf(surroundings.simulator, name)).toBe(1);
  }
});
