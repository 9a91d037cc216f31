import { randomUUID } from 'node:crypto';
import { startFailoverPair, type FailoverPair } from '../helpers/failover.js';
import { startHostProcess, type HostProcess } from '../helpers/host.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import { freePort } from '../../src/app/free.port.js';
import { payload } from '../helpers/payload.js';
import { latch } from '../helpers/payout.checks.js';
import { eventually } from '../helpers/until.js';

let pair: FailoverPair;
let hosts: HostProcess[] = [];

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.kill('SIGTERM')));
  hosts = [];
  await pair.stop();
}, 60_000);

/** Processes beside those that there are. @param port of the first one; where notifications go by default. */
async function startHosts(count: number, changes: Partial<AliKassaOptions> = {}, port = pair.port): Promise<void> {
  const { database } = pair;
  const options = { ...pair.options, ...changes };
  const ports = [port, ...(await Promise.all(Array.from({ length: count - 1 }, () => freePort())))];
  const started = ports.map((one) => startHostProcess({ databaseUrl: database.url, port: one, options }));
  hosts = [...(await Promise.all(started)), ...hosts];
}

/** Creates a payout of the order at one of the hosts, as a client does that repeats itself. */
async function create(orderId: string, index = 0): Promise<void> {
  // Stays `wait`: no notification tells of it.
  const body = JSON.stringify(payload({ order_id: orderId, amount: '12.04' }));
  const headers = { 'content-type': 'application/json' };
  await eventually('the payout is accepted', async () => {
    const url = `${hosts[index % hosts.length]?.url}/alikassa/payouts`;
    const { status } = await fetch(url, { method: 'POST', headers, body });
    return status === 200 || status === 201;
  });
}

const [HOSTS, CONCURRENCY] = [2, 2];
const orders = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const sent = (orderIds: string[]): number => pair.submissions(orderIds).filter((times) => times > 0).length;

it('131: an asynchronous standby is promoted without the last second -> asked about before it is sent again', async () => {
  pair = await startFailoverPair({
    // Asked about seldom once it waits: the few jobs that run at once are for what is on its way.
    options: { worker: { concurrency: CONCURRENCY, sweepIntervalMs: 500 }, checkSchedule: [200, 300, 400, 10_000] },
    simulator: { latencyMs: 50 },
  });
  await startHosts(HOSTS);
  const old = orders(60);
  await Promise.all(old.map((orderId, index) => create(orderId, index)));
  await pair.standby.untilCaughtUp();
  await pair.standby.fallBehind();
  const lost = orders(5);
  await Promise.all(lost.map((orderId, index) => create(orderId, index)));
  await eventually('nearly all are sent', () => sent([...old, ...lost]) >= 62);
  // The primary goes with the last ones on their way.
  const { rows: forgotten } = await pair.copy.query<{ order_id: string }>(
    "SELECT order_id FROM alikassa_payouts WHERE status = 'queued'",
  );
  const sentOnes = forgotten.map(({ order_id }) => order_id).filter((orderId) => sent([orderId]) > 0);
  expect(sentOnes.length).toBeGreaterThan(20);
  await pair.failOver();

  // Whoever got no answer, or finds the payout gone, repeats the create; and life goes on.
  const fresh = orders(5);
  await Promise.all([...lost, ...fresh].map((orderId, index) => create(orderId, index)));
  const rows = await pair.untilAtRest();
  const all = [...old, ...lost, ...fresh];
  expect(pair.submissions(all)).toEqual(all.map(() => 1));
  expect(all.map((orderId) => rows.get(orderId)?.status)).toEqual(all.map(() => 'wait'));
  // An attempt that was on its way meanwhile may have told of itself: then nobody has to look.
  const found = sentOnes.map((orderId) => rows.get(orderId)?.attention).filter((attention) => attention !== null);
  expect(found).toEqual(found.map(() => 'known_to_provider_before_sent'));
  expect(found.length).toBeGreaterThanOrEqual(sentOnes.length - HOSTS * CONCURRENCY);
  expect([...rows.values()].filter(({ doubted_at }) => doubted_at !== null)).toEqual([]);
}, 120_000);

it('132: the late "never sent" of an attempt from before the failover -> is not taken for the new one\'s', async () => {
  pair = await startFailoverPair({ options: { timeoutMs: 15_000, leaseMs: 20_000 } });
  const { standby, proxy, simulator } = pair;
  const [orderId = ''] = orders(1);
  await startHosts(1, { worker: { enabled: false } });
  await create(orderId);
  await standby.untilCaughtUp();
  await standby.fallBehind();
  await hosts[0]?.kill('SIGTERM');

  // Nobody listens at the address of the provider: the attempt is proven never sent, and the process stops there.
  const result = proxy.hold(/UPDATE "alikassa_payouts"[^]*submission/);
  await startHosts(1, { baseUrl: `http://127.0.0.1:${await freePort()}` });
  await result;
  const [first] = hosts;
  await first?.kill('SIGSTOP');
  await pair.failOver();

  // Another process makes the attempt of the same number, after it has asked; its answer is held.
  const { held, letGo } = latch();
  simulator.script({ on: 'payout', orderId, hold: held });
  await startHosts(1, {}, await freePort());
  await eventually('it is sent', () => simulator.accepted(orderId) === 1);
  expect((await pair.rows()).get(orderId)).toMatchObject({ status: 'sending', attempt: 1 });

  // It says what it has to say before it ends.
  await first?.kill('SIGCONT');
  await first?.kill('SIGTERM');
  expect((await pair.rows()).get(orderId)).toMatchObject({ status: 'sending', attempt: 1 });
  letGo();
  expect((await pair.untilAtRest()).get(orderId)).toMatchObject({ status: 'wait', attempt: 1 });
  expect(pair.submissions([orderId])).toEqual([1]);
}, 120_000);
