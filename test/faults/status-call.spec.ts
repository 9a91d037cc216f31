import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import type { RequestFault } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { decideNow } from '../helpers/people.js';
import { unprotected } from '../helpers/unprotected.js';
import { until } from '../helpers/until.js';

let host: TestApplication;
beforeAll(async () => {
  host = await startApplication({
    options: { timeoutMs: 800, leaseMs: 6_000, checkSchedule: [250], rejectAfterMs: 400 },
  });
});
afterAll(async () => host.stop());

const create = async (changes: Record<string, unknown>, on = host): Promise<string> =>
  ((await on.http().post('/alikassa/payouts').send(payload(changes))).body as PayoutDto).id;
const refresh = (id: string, on = host) => on.http().post(`/alikassa/payouts/${id}/refresh`);
const stateOf = async (id: string): Promise<[string, string]> => {
  const { status, attention } = await host.payouts.find(id);
  return [status, attention.join(' ')];
};
/** What the provider answers to the next status calls of the order, in place of the truth. */
const says = (orderId: string, body: object | string, rest: Partial<RequestFault> = {}): void => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  host.simulator.script({ on: 'status', orderId, times: 1_000, answer: { status: 200, body: text }, ...rest });
};
const truth = (orderId: string) => {
  const { id, order_id, amount, payment_status } = host.simulator.payouts.get(orderId)!;
  return {
    id,
    order_id,
    amount,
    payment_amount: amount,
    payment_status,
    commission_amount: '0.10',
    is_partial_payment: false,
  };
};
/** A payout that the provider holds in `wait`, polled by its own id. */
async function waiting(orderId: string): Promise<string> {
  const id = await create({ order_id: orderId, amount: '10.04' });
  await host.until(id, 'wait');
  return id;
}
/** What the provider knows cannot be ended as failed. */
const ended = async (id: string, outcome: 'fail' | 'paid' = 'fail'): Promise<void> =>
  void (await decideNow(host.payouts, id, { outcome, reason: 'the test is over' }));

it('59: not found after maybe-sent -> stays unknown', async () => {
  host.simulator.script({ on: 'payout', orderId: '59', accept: false, stall: true });
  const id = await create({ order_id: '59' });
  await until(async () => (await host.payouts.find(id)).notFoundCount >= 4);
  expect(await stateOf(id)).toEqual(['unknown', 'not_found']);
  expect(host.simulator.accepted('59')).toBe(0);
  await ended(id);
});

it('60: not found and every attempt never sent -> queued, and sent once later', async () => {
  // Nobody listens at the provider's address, then the provider does.
  const port = await freePort();
  const surroundings = await prepare({ options: { baseUrl: `http://127.0.0.1:${port}` } });
  const node = await startApplication({ surroundings, port: surroundings.port });
  const id = await create({ order_id: '60' }, node);
  await until(async () => (await node.payouts.find(id)).unsentCount >= 1);
  const answering = await startApplication({
    surroundings,
    options: { baseUrl: surroundings.simulator.url, worker: { enabled: false } },
  });
  const { body, status } = await refresh(id, answering);
  expect([status, (body as PayoutDto).attention]).toEqual([200, []]);
  expect((await answering.payouts.find(id)).possiblySent).toBe(false);
  expect(['queued', 'sending']).toContain((body as PayoutDto).status);
  expect(surroundings.simulator.requests).toMatchObject([{ endpoint: 'status', orderId: '60', httpStatus: 400 }]);
  await node.stop();
  const back = await startApplication({
    surroundings,
    port: surroundings.port,
    options: { baseUrl: surroundings.simulator.url },
  });
  await back.until(id, 'paid');
  expect(surroundings.simulator.accepted('60')).toBe(1);
  await Promise.all([answering.stop(), back.stop()]);
  await surroundings.stop();
});

it('61: the call itself fails -> no change, the next one settles', async () => {
  const { simulator } = host;
  simulator.script({ on: 'payout', orderId: '61', notification: 'lost', stall: true });
  const faults: Partial<RequestFault>[] = [
    { drop: 'after' },
    { stall: true },
    { raw: 'garbage\r\n\r\n' },
    ...[401, 403, 408, 500, 502, 503, 504].map((status) => ({ answer: { status } })),
    { answer: { status: 200, body: '<html>' } },
    { answer: { status: 200, body: '{"payment_status":"paid"}' } },
  ];
  for (const fault of faults) simulator.script({ on: 'status', orderId: '61', ...fault });
  const id = await create({ order_id: '61' });
  await host.until(id, 'paid');
  const events = await host.payouts.events(id);
  expect(events.map(({ toStatus }) => toStatus)).toEqual(['queued', 'sending', 'unknown', 'paid']);
  const asked = simulator.requests.filter(({ endpoint, orderId }) => endpoint === 'status' && orderId === '61');
  expect(asked).toHaveLength(faults.length + 1);
  await host.database.pool.query('DELETE FROM alikassa_account_pauses');
});

it('62: `wait` after `paid` -> ignored', async () => {
  const id = await create({ order_id: '62' });
  await host.until(id, 'paid');
  says('62', { ...truth('62'), payment_status: 'wait' });
  const events = await host.payouts.events(id);
  await refresh(id).expect(200);
  expect([await stateOf(id), await host.payouts.events(id)]).toEqual([['paid', ''], events]);
});

it.each([
  ['cancel', '3.03'],
  ['fail', '3.02'],
])('63: %s, later paid -> conflict, attention, no automatic change', async (status, amount) => {
  const order_id = `63-${status}`;
  const id = await create({ order_id, amount });
  await host.until(id, status);
  says(order_id, { ...truth(order_id), payment_status: 'paid' });
  await refresh(id).expect(200);
  expect(await stateOf(id)).toEqual([status, 'conflict_status']);
  expect((await host.payouts.events(id)).at(-1)).toMatchObject({
    type: 'check',
    fromStatus: status,
    toStatus: status,
    detail: { conflict: 'status' },
  });
});

it('64: another amount -> conflict', async () => {
  const id = await waiting('64');
  says('64', { ...truth('64'), payment_status: 'paid', amount: '100.04' });
  await until(async () => (await stateOf(id))[1] === 'conflict_amount');
  expect((await host.payouts.find(id)).status).toBe('wait');
  await ended(id, 'paid');
});

it('65: `wait` beyond the age limit -> attention, polling goes on', async () => {
  const id = await waiting('65');
  const older = "UPDATE alikassa_payouts SET created_at = now() - interval '25 h' WHERE id = $1";
  await unprotected(host.database.pool, older, [id]);
  await until(async () => (await stateOf(id))[1] === 'overdue');
  const { checkCount } = await host.payouts.find(id);
  await until(async () => (await host.payouts.find(id)).checkCount >= checkCount + 2);
  await host.simulator.settle('65', 'paid');
  await host.until(id, 'paid');
  expect(await stateOf(id)).toEqual(['paid', '']);
});

it("66: another merchant's order -> refused", async () => {
  const answers: [string, (order: string) => object][] = [
    ['conflict_order_id', (order) => ({ ...truth(order), payment_status: 'paid', order_id: 'of-another' })],
    ['conflict_provider_id', (order) => ({ ...truth(order), payment_status: 'paid', id: 999_999_999 })],
  ];
  for (const [attention, answer] of answers) {
    const id = await waiting(`66-${attention}`);
    says(`66-${attention}`, answer(`66-${attention}`));
    await until(async () => (await stateOf(id))[1] === attention);
    expect((await host.payouts.find(id)).status).toBe('wait');
    expect((await host.payouts.events(id)).map(({ toStatus }) => toStatus)).not.toContain('paid');
    await ended(id, 'paid');
  }
});

it('67: numbers where strings were, and the reverse -> read alike', async () => {
  const shapes: [string, (order: string) => object | string][] = [
    [
      'numbers',
      (order) => ({
        ...truth(order),
        payment_status: 'paid',
        amount: 10.04,
        payment_amount: 10.04,
        is_partial_payment: 0,
      }),
    ],
    [
      'strings',
      (order) => ({ ...truth(order), payment_status: 'paid', id: String(truth(order).id), is_partial_payment: '0' }),
    ],
  ];
  for (const [name, shape] of shapes) {
    const id = await waiting(`67-${name}`);
    says(`67-${name}`, shape(`67-${name}`));
    await host.until(id, 'paid');
    expect(await host.payouts.find(id)).toMatchObject({
      attention: [],
      paymentAmount: '10.04',
      isPartialPayment: false,
    });
  }
});
