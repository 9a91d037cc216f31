import { randomUUID } from 'node:crypto';
import { startFailoverPair, type FailoverPair } from '../helpers/failover.js';
import { startHostProcess, type HostProcess } from '../helpers/host.js';
import { freePort } from '../../src/app/free.port.js';
import { payload } from '../helpers/payload.js';
import { eventually } from '../helpers/until.js';

let pair: FailoverPair;
let hosts: HostProcess[] = [];

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.kill('SIGTERM')));
  hosts = [];
  await pair.stop();
}, 60_000);

async function startHosts(count: number): Promise<void> {
  const { database, options, port } = pair;
  const ports = [port, ...(await Promise.all(Array.from({ length: count - 1 }, () => freePort())))];
  hosts = await Promise.all(ports.map((one) => startHostProcess({ databaseUrl: database.url, port: one, options })));
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

const orders = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const sent = (orderIds: string[]): number => pair.submissions(orderIds).filter((times) => times > 0).length;

it('131: an asynchronous standby is promoted without the last second -> asked about before it is sent again', async () => {
  pair = await startFailoverPair({
    options: { worker: { concurrency: 2, sweepIntervalMs: 500 } },
    simulator: { latencyMs: 50 },
  });
  await startHosts(2);
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
  expect(sentOnes.map((orderId) => rows.get(orderId)?.attention)).toEqual(
    sentOnes.map(() => 'known_to_provider_before_sent'),
  );
  expect([...rows.values()].filter(({ doubted_at }) => doubted_at !== null)).toEqual([]);
}, 90_000);
