import { randomUUID } from 'node:crypto';
import type { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { signedQueryOf } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { decideNow } from '../helpers/people.js';
import { NOT_FOUND, ok, ScriptedProvider, TAKEN, type Asked, type Reply } from '../helpers/scripted.provider.js';
import { unprotected } from '../helpers/unprotected.js';
import { until } from '../helpers/until.js';

const CARD = '4111111111111111';
const REFUSED: Reply = {
  status: 400,
  body: { message: 'The given data was invalid.', errors: { number: ['The number is not accepted.'] } },
};
const FAIL = { outcome: 'fail', reason: 'support: it never arrived' } as const;

let provider: ScriptedProvider;
let host: TestApplication;
let nextId = 600_000_000;
/** What the provider says of an order, by its order_id; nothing: it does not have it. */
const known = new Map<string, Reply>();
/** When it was asked about an order. */
const askedAt = new Map<string, number[]>();

beforeAll(async () => {
  provider = await ScriptedProvider.start();
  provider.onStatus = ({ order_id = '' }: Asked) => {
    askedAt.set(order_id, [...(askedAt.get(order_id) ?? []), performance.now()]);
    return known.get(order_id) ?? NOT_FOUND;
  };
  host = await start([300, 600, 1_200]);
});
afterAll(async () => {
  await host.stop();
  await provider.stop();
});

const start = (followUpSchedule: number[]): Promise<TestApplication> =>
  startApplication({
    options: {
      baseUrl: provider.url,
      checkSchedule: [80],
      followUpSchedule,
      rejectAfterMs: 150,
      worker: { sweepIntervalMs: 200 },
    },
  });
const made = async (changes: Record<string, unknown> = {}, on = host): Promise<{ id: string; orderId: string }> => {
  const { id, orderId } = await on.payouts.create(payload(changes) as unknown as CreatePayoutDto);
  return { id, orderId };
};
const stateOf = async (id: string): Promise<string> => {
  const { status, attention } = await host.payouts.find(id);
  return [status, ...attention].join(' ');
};
const becomes = async (id: string, state: string): Promise<void> =>
  until(async () => (await stateOf(id)) === state).catch(async (cause: unknown) => {
    throw new Error(`It is "${await stateOf(id)}", not "${state}".`, { cause });
  });
const record = (orderId: string, payment_status: string, more: object = {}): Reply =>
  ok({ id: (nextId += 1), order_id: orderId, payment_status, ...more });
const asked = (orderId: string): number => askedAt.get(orderId)?.length ?? 0;

describe('149: a final status without the word of the provider is asked about yet', () => {
  const rejected = async () => {
    provider.onCreate = () => REFUSED;
    const payout = await made();
    await becomes(payout.id, 'rejected');
    return payout;
  };
  const failed = async () => {
    provider.onCreate = () => 'drop';
    const payout = await made();
    await becomes(payout.id, 'unknown not_found');
    await decideNow(host.payouts, payout.id, FAIL);
    return payout;
  };
  const ends = [
    ['rejected', 'a documented 400, confirmed as not existing', rejected],
    ['fail', 'a decision of a person', failed],
  ] as const;

  it.each(ends)('%s after %s, and the provider shows it later -> a person is called', async (status, _, end) => {
    for (const said of ['wait', 'paid']) {
      const { id, orderId } = await end();
      known.set(orderId, record(orderId, said));
      await becomes(id, `${status} conflict_status`);
      expect((await host.payouts.events(id)).at(-1)).toMatchObject({ type: 'check', detail: { conflict: 'status' } });
      expect(provider.submissions.filter((one) => one === orderId)).toHaveLength(1);
    }
  });

  it.each(ends)('%s after %s: at growing distances, and not for ever', async (_status, _, end) => {
    const { id, orderId } = await end();
    const { revision } = await host.payouts.find(id);
    const before = asked(orderId);
    await until(async () => (await host.payouts.find(id)).dueAt === null);
    const times = (askedAt.get(orderId) ?? []).slice(before);
    expect(times).toHaveLength(3);
    const [first, second, third] = times as [number, number, number];
    expect(third - second).toBeGreaterThan(second - first);
    // It said nothing new: nothing stands in the history, and nobody is called.
    expect(await host.payouts.find(id)).toMatchObject({ revision, attention: [] });
  });

  it('what the provider has ended is not', async () => {
    const [order_id, id] = [randomUUID(), (nextId += 1)];
    provider.onCreate = () => ok({ id, payment_status: 'wait' });
    let questions = 0;
    provider.onStatus = () => {
      questions += 1;
      return ok({ id, order_id, payment_status: 'fail' });
    };
    const payout = await made({ order_id });
    await becomes(payout.id, 'fail');
    expect([(await host.payouts.find(payout.id)).dueAt, questions]).toEqual([null, 1]);
  });
});

describe("150: another one's payment under our order_id is not ours", () => {
  /** Its order_id is taken, and the status call by it tells of what the test says. */
  async function taken(says: (orderId: string) => object, changes: Record<string, unknown> = {}) {
    provider.onCreate = () => TAKEN;
    const order_id = randomUUID();
    const reply = ok({ id: (nextId += 1), order_id, payment_status: 'paid', ...says(order_id) });
    known.set(order_id, reply);
    provider.onStatus = (one: Asked) => known.get(one.order_id ?? '') ?? NOT_FOUND;
    return made({ order_id, ...changes });
  }
  const card = { service: 'payment_card_rub', number: CARD };
  const cases: [string, (orderId: string) => object, Record<string, unknown>, string][] = [
    ['another card', () => ({ card_mask: '555555******4444' }), card, 'recipient'],
    ['another card with the same first digits', () => ({ card_mask: '411111******4444' }), card, 'recipient'],
    ['another phone', () => ({ card_mask: '*******9999' }), {}, 'recipient'],
    ['another service', () => ({ service_code: 'payment_card_rub' }), {}, 'service'],
    ['another amount', () => ({ amount: '13.00' }), {}, 'amount'],
  ];

  it.each(cases)('%s -> never paid, and a person is called', async (_, says, changes, about) => {
    const { id } = await taken(says, changes);
    await becomes(id, `unknown conflict_${about}`);
    // Polling goes on, and neither this nor its absence later ends it or sends it again.
    const { checkCount, orderId } = await host.payouts.find(id);
    await until(async () => (await host.payouts.find(id)).checkCount >= checkCount + 3);
    known.delete(orderId);
    await until(async () => (await host.payouts.find(id)).notFoundCount >= 4);
    expect(await host.payouts.find(id)).toMatchObject({ status: 'unknown', attempt: 1, providerId: null });
  });

  it.each(cases)(
    '%s -> a person can end ours as fail, and says that the answer is not about it',
    async (_, says, changes, about) => {
      const { id } = await taken(says, changes);
      await becomes(id, `unknown conflict_${about}`);
      await expect(decideNow(host.payouts, id, FAIL)).rejects.toMatchObject({ httpStatus: 409 });
      const resubmit = { outcome: 'resubmit', reason: 'r', unasked: true } as const;
      await expect(decideNow(host.payouts, id, resubmit)).rejects.toMatchObject({ httpStatus: 409 });
      expect((await host.payouts.find(id)).status).toBe('unknown');
      await decideNow(host.payouts, id, { ...FAIL, unasked: true });
      expect((await host.payouts.find(id)).status).toBe('fail');
      const decision = (await host.payouts.events(id)).find(({ type }) => type === 'person');
      expect(decision?.detail).toEqual({ ...FAIL, asked: 'of_another', unasked: true });
    },
  );

  it.each([
    ['the same card, masked otherwise', { card_mask: '4111 11** **** 1111' }, card],
    ['the same card, more of it hidden', { card_mask: '************1111' }, card],
    ['the same service in another case', { service_code: 'QIWI_RUB' }, {}],
    ['nothing of recipient and service', { card_mask: null, service_code: null }, {}],
  ])('%s -> ours', async (_, says, changes) => {
    const { id } = await taken(() => says, changes);
    await becomes(id, 'paid');
    expect((await host.payouts.find(id)).heard).toEqual([]);
  });

  it.each([
    ['of another payout of ours', 'default'],
    ['of a payout of another instance', 'other'],
  ])('the provider id %s -> never paid twice, and a person is called', async (_, instance) => {
    provider.onCreate = (orderId) => record(orderId, 'wait');
    const first = await made();
    await becomes(first.id, 'wait');
    const { providerId } = await host.payouts.find(first.id);
    const sql = 'UPDATE alikassa_payouts SET instance = $2 WHERE id = $1';
    await unprotected(host.database.pool, sql, [first.id, instance]);
    const { id } = await taken(() => ({ id: Number(providerId) }));
    await becomes(id, 'unknown conflict_provider_id');
    const { rows } = await host.database.pool.query('SELECT order_id FROM alikassa_payouts WHERE provider_id = $1', [
      providerId,
    ]);
    expect(rows).toEqual([{ order_id: first.orderId }]);
  });

  it("an answer to our own submission with another payout's id -> the same, and a notification too", async () => {
    provider.onCreate = (orderId) => record(orderId, 'wait');
    const first = await made();
    await becomes(first.id, 'wait');
    provider.onCreate = () => ok({ id: nextId, payment_status: 'wait' });
    const second = await made();
    await becomes(second.id, 'unknown conflict_provider_id');
    provider.onCreate = () => 'drop';
    const third = await made();
    await becomes(third.id, 'unknown not_found');
    const query = signedQueryOf(host.simulator, await host.payouts.find(third.id), { id: String(nextId) });
    await host.http().get(`/alikassa/notifications?${query}`).expect(200);
    await becomes(third.id, 'unknown conflict_provider_id not_found');
  });
});

describe('152: a 404 of a proxy in front of the provider is not "the provider does not know it"', () => {
  const BODIES: (string | object)[] = [
    '',
    'Not Found',
    '<html><head><title>404 Not Found</title></head><body>nginx</body></html>',
    { message: 'no Route matched with those values' },
    { message: 'Not found' },
    { errors: {} },
    { error: { code: 404, message: 'order_id not found' } },
    { message: 'x', errors: {} },
    { message: 'x', errors: [] },
    { message: 'x', errors: ['order_id'] },
    { message: 'x', errors: { number: ['The number is invalid.'] } },
    { message: 'x', errors: { order_id: 'is invalid' } },
    { message: 'x', errors: { order_id: [1] } },
    { errors: { order_id: ['The selected order id is invalid.'] } },
    '{"message":"x","errors":{"order_id":["The selected',
    'null',
    '[]',
  ];

  it.each([
    ['that was refused', () => REFUSED],
    ['that may have been sent', (): Reply => 'drop'],
  ])('of a payout %s', async (_, reply) => {
    provider.onCreate = reply;
    const orders = BODIES.flatMap((body) => [404, 400].map((status) => ({ order_id: randomUUID(), status, body })));
    for (const { order_id, ...answer } of orders) known.set(order_id, answer);
    provider.onStatus = ({ order_id = '' }: Asked) => {
      askedAt.set(order_id, [...(askedAt.get(order_id) ?? []), performance.now()]);
      return known.get(order_id) ?? NOT_FOUND;
    };
    const payouts = await Promise.all(orders.map(({ order_id }) => made({ order_id })));
    await until(() => payouts.every(({ orderId }) => asked(orderId) >= 5));
    for (const { id, orderId } of payouts) {
      const { status, attention, notFoundCount } = await host.payouts.find(id);
      expect([known.get(orderId), status, attention, notFoundCount]).toEqual([known.get(orderId), 'unknown', [], 0]);
      known.delete(orderId);
    }
    // The provider's own word, and nothing else, is one.
    await Promise.all(
      payouts.map(({ id }) => until(async () => (await stateOf(id)).match(/rejected|not_found/) !== null)),
    );
  });
});
