import type { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import type { NotificationParameters } from '../../src/testing/index.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { CrashedPayout } from '../helpers/crash.js';
import { signedQueryOf } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { latch } from '../helpers/payout.checks.js';
import { decideNow } from '../helpers/people.js';
import { NOT_FOUND, ok, ScriptedProvider, type Asked, type Reply } from '../helpers/scripted.provider.js';
import { unprotected } from '../helpers/unprotected.js';
import { until } from '../helpers/until.js';

const FAIL = { outcome: 'fail', reason: 'support: it never arrived' } as const;
const RESUBMIT = { outcome: 'resubmit', reason: 'support: it never arrived' } as const;
const HOUR = 3_600_000;

let provider: ScriptedProvider;
let host: TestApplication;
let nextId = 500_000_000;
beforeAll(async () => {
  provider = await ScriptedProvider.start();
  // Asked for a second, then no more but by a person: what changes after that, something else has changed.
  const checkSchedule = [100, 100, 100, 100, 100, 100, 100, HOUR];
  const options = { baseUrl: provider.url, checkSchedule, rejectAfterMs: 200, followUpSchedule: [] };
  host = await startApplication({ options });
});
afterAll(async () => {
  await host.stop();
  await provider.stop();
});

interface Made {
  id: string;
  orderId: string;
}
const made = async (changes: Record<string, unknown> = {}, on = host): Promise<Made> => {
  const { id, orderId } = await on.payouts.create(payload(changes) as unknown as CreatePayoutDto);
  return { id, orderId };
};
const stateOf = async (id: string, on = host): Promise<string> => {
  const { status, attention } = await on.payouts.find(id);
  return [status, ...attention].join(' ');
};
const becomes = async (id: string, state: string, on = host): Promise<void> =>
  until(async () => (await stateOf(id, on)) === state).catch(async (cause: unknown) => {
    const events = (await on.payouts.events(id)).map(({ type, toStatus }) => `${type}: ${toStatus}`);
    throw new Error(`It is "${await stateOf(id, on)}", not "${state}": ${events.join(', ')}`, { cause });
  });
const id = (): number => (nextId += 1);
/** A record of the provider's. */
const record = (orderId: string, providerId: number, payment_status: string, more: object = {}): Reply =>
  ok({ id: providerId, order_id: orderId, payment_status, ...more });
/** The provider's records of one order: by its order_id it tells of the last that is named, by an id of that one. */
function knows(orderId: string, records: Record<number, string>, byOrder?: number): void {
  const former = provider.onStatus;
  provider.onStatus = (asked: Asked) => {
    const status = asked.id === undefined ? undefined : records[asked.id];
    if (asked.id !== undefined && status !== undefined) return record(orderId, asked.id, status);
    if (asked.order_id !== orderId) return former(asked);
    return byOrder === undefined ? NOT_FOUND : record(orderId, byOrder, records[byOrder] ?? 'wait');
  };
}
async function notify({ id: payoutId }: Made, changes: NotificationParameters, on = host): Promise<number> {
  const query = signedQueryOf(on.simulator, await on.payouts.find(payoutId), changes);
  return on
    .http()
    .get(`/alikassa/notifications?${query}`)
    .then(({ status }) => status);
}
const answers = (on: ScriptedProvider, create: (before: number, orderId: string) => Reply | Promise<Reply>): void =>
  void (on.onCreate = (orderId, before) => create(before, orderId));
/** As if the worker had been held up for longer than its lease. */
const expire = async (payoutId: string): Promise<void> =>
  unprotected(host.database.pool, `UPDATE alikassa_payouts SET lease_until = now() - interval '1 s' WHERE id = $1`, [
    payoutId,
  ]);
const sent = (orderId: string): number => provider.submissions.filter((one) => one === orderId).length;

describe('124: a late 200 with an id of an attempt that has lost its lease', () => {
  it('of a worker that was stopped (SIGSTOP) -> kept and followed, and a person cannot resubmit', async () => {
    const payout = await CrashedPayout.prepare();
    const { simulator } = payout.surroundings;
    simulator.script({ on: 'payout', notification: 'lost', invisibleForMs: HOUR });
    await payout.start();
    const stopped = await payout.stopWithItsAnswer();
    await payout.start();
    await until(async () => (await payout.row()).attention.includes('not_found'));
    await stopped.kill('SIGCONT');
    await payout.untilStatus('wait');
    expect(await payout.history()).toEqual([
      'created: queued',
      'claimed: sending',
      'lease_expired: unknown',
      'submission: wait',
    ]);
    expect((await payout.row()).attention).toEqual([]);
    await expect(payout.resubmit()).rejects.toThrow('409');
    expect([simulator.requests.filter(({ endpoint }) => endpoint === 'payout').length, payout.accepted]).toEqual([
      1, 1,
    ]);
    await stopped.kill('SIGTERM');
    await payout.end();
  });

  /** A payout whose provider has accepted it, and whose answer is held until after its lease. */
  async function heldUp(): Promise<Made & { providerId: number; letGo: () => void }> {
    const { held, letGo } = latch();
    const providerId = id();
    answers(provider, (before) =>
      before > 0 ? 'drop' : held.then(() => ok({ payment_status: 'wait', id: providerId })),
    );
    const payout = await made();
    await until(() => sent(payout.orderId) === 1);
    await expire(payout.id);
    await becomes(payout.id, 'unknown not_found');
    return { ...payout, providerId, letGo };
  }
  const lateAnswerOf = async (payoutId: string) =>
    (await host.payouts.events(payoutId)).find(({ type, detail }) => type === 'submission' && 'late_attempt' in detail);

  it('while it is unknown -> wait, found by that id, and paid', async () => {
    const { letGo, ...payout } = await heldUp();
    const { revision } = await host.payouts.find(payout.id);
    letGo();
    await becomes(payout.id, 'wait');
    expect(await lateAnswerOf(payout.id)).toMatchObject({ detail: { late_attempt: 1 } });
    await expect(host.payouts.resolve(payout.id, RESUBMIT, { revision })).rejects.toMatchObject({ httpStatus: 412 });
    await expect(decideNow(host.payouts, payout.id, RESUBMIT)).rejects.toMatchObject({ httpStatus: 409 });
    knows(payout.orderId, { [payout.providerId]: 'paid' });
    await host.payouts.refresh(payout.id);
    expect(await stateOf(payout.id)).toBe('paid');
    expect(provider.questions.at(-1)).toEqual({ id: payout.providerId });
    expect(sent(payout.orderId)).toBe(1);
  });

  it('after a person has ended it -> a person is called, and it is asked about', async () => {
    const { letGo, ...payout } = await heldUp();
    await decideNow(host.payouts, payout.id, FAIL);
    letGo();
    await becomes(payout.id, 'fail late_answer');
    knows(payout.orderId, { [payout.providerId]: 'paid' });
    await host.payouts.refresh(payout.id);
    expect(await stateOf(payout.id)).toBe('fail conflict_status late_answer');
  });

  it('after a person has sent it again -> that attempt goes on, both ids are followed', async () => {
    const { letGo, ...payout } = await heldUp();
    const [{ held, letGo: letSecondGo }, second] = [latch(), id()];
    answers(provider, () => held.then(() => ok({ payment_status: 'wait', id: second })));
    await decideNow(host.payouts, payout.id, RESUBMIT);
    await until(() => sent(payout.orderId) === 2);
    letGo();
    await becomes(payout.id, 'sending late_answer');
    letSecondGo();
    await becomes(payout.id, 'wait late_answer');
    // The provider has two: either may be paid.
    knows(payout.orderId, { [payout.providerId]: 'paid', [second]: 'paid' }, second);
    await host.payouts.refresh(payout.id);
    expect(await stateOf(payout.id)).toBe('paid conflict_provider_id late_answer');
    expect(provider.questions).toEqual(expect.arrayContaining([{ id: payout.providerId }, { id: second }]));
  });
});

describe('125: the provider says `wait` of a payout that a person ended as fail', () => {
  const ended = async (): Promise<Made> => {
    answers(provider, () => 'drop');
    const payout = await made();
    await becomes(payout.id, 'unknown not_found');
    await decideNow(host.payouts, payout.id, FAIL);
    return payout;
  };

  it.each(['wait', 'paid'])('by a notification (%s) -> attention', async (payment_status) => {
    const payout = await ended();
    expect(await notify(payout, { id: String(id()), payment_status })).toBe(200);
    expect(await stateOf(payout.id)).toBe('fail conflict_status');
  });

  it.each(['wait', 'paid'])('by the status call that a person asks for (%s) -> attention', async (said) => {
    const payout = await ended();
    const providerId = id();
    knows(payout.orderId, { [providerId]: said }, providerId);
    await host.payouts.refresh(payout.id);
    expect(await stateOf(payout.id)).toBe('fail conflict_status');
  });
});

describe('126: two attempts may have been sent', () => {
  /** A payout that was sent twice, of which the provider shows nothing. */
  async function sentTwice(): Promise<Made> {
    answers(provider, () => 'drop');
    const payout = await made();
    await becomes(payout.id, 'unknown not_found');
    await decideNow(host.payouts, payout.id, RESUBMIT);
    await until(async () => (await host.payouts.find(payout.id)).attempt === 2);
    await becomes(payout.id, 'unknown not_found');
    return payout;
  }

  it.each(['fail', 'cancel'])(
    'and the status by order_id tells of the failed one (%s) -> not final until both are accounted for',
    async (said) => {
      const payout = await sentTwice();
      const [first, second] = [id(), id()];
      knows(payout.orderId, { [first]: said }, first);
      await host.payouts.refresh(payout.id);
      expect(await stateOf(payout.id)).toBe('unknown attempts_unaccounted not_found');
      await host.payouts.refresh(payout.id);
      expect((await host.payouts.find(payout.id)).status).toBe('unknown');
      // Money goes back when the other one has failed too.
      knows(payout.orderId, { [first]: said, [second]: 'fail' }, second);
      await host.payouts.refresh(payout.id);
      expect((await host.payouts.find(payout.id)).status).toBe('fail');
    },
  );

  it.each(['fail', 'cancel'])('and a notification tells of the failed one (%s) -> the same', async (payment_status) => {
    const payout = await sentTwice();
    const [first, second] = [id(), id()];
    expect(await notify(payout, { id: String(first), payment_status })).toBe(200);
    expect(await stateOf(payout.id)).toBe('unknown attempts_unaccounted not_found');
    // The same attempt again is no other one.
    await notify(payout, { id: String(first), payment_status, desc: 'again' });
    expect((await host.payouts.find(payout.id)).status).toBe('unknown');
    knows(payout.orderId, { [first]: payment_status, [second]: 'paid' }, second);
    await host.payouts.refresh(payout.id);
    expect(await host.payouts.find(payout.id)).toMatchObject({ status: 'paid', providerId: String(second) });
  });

  it('129: an old fail of the first, during the second -> ends nothing, however often it is replayed', async () => {
    answers(provider, () => 'drop');
    const payout = await made();
    await becomes(payout.id, 'unknown not_found');
    const [{ held, letGo }, first, second] = [latch(), id(), id()];
    answers(provider, () => held.then(() => ok({ payment_status: 'wait', id: second })));
    await decideNow(host.payouts, payout.id, RESUBMIT);
    await until(() => sent(payout.orderId) === 2);
    const old = { id: String(first), payment_status: 'fail' };
    expect(await notify(payout, old)).toBe(200);
    expect(await stateOf(payout.id)).toBe('sending attempts_unaccounted');
    letGo();
    await until(async () => (await host.payouts.find(payout.id)).status === 'wait');
    for (let i = 0; i < 3; i++) await notify(payout, old);
    knows(payout.orderId, { [first]: 'fail', [second]: 'wait' }, first);
    await host.payouts.refresh(payout.id);
    expect(await host.payouts.find(payout.id)).toMatchObject({ status: 'wait', providerId: String(second) });
    knows(payout.orderId, { [first]: 'fail', [second]: 'paid' }, first);
    await host.payouts.refresh(payout.id);
    expect((await host.payouts.find(payout.id)).status).toBe('paid');
  });
});

describe("127: a notification tells of one id, the submission's own 200 of another", () => {
  it.each(['wait', 'paid', 'fail'])('(%s) -> conflict, and both are followed', async (payment_status) => {
    const [{ held, letGo }, told, own] = [latch(), id(), id()];
    answers(provider, () => held.then(() => ok({ payment_status: 'wait', id: own })));
    const payout = await made();
    await until(() => sent(payout.orderId) === 1);
    expect(await notify(payout, { id: String(told), payment_status })).toBe(200);
    letGo();
    await becomes(payout.id, `${payment_status} conflict_provider_id`);
    expect(await host.payouts.find(payout.id)).toMatchObject({ providerId: String(told), heard: [`${own}:wait`] });
    knows(payout.orderId, { [told]: payment_status, [own]: 'paid' }, told);
    await host.payouts.refresh(payout.id);
    expect(provider.questions).toContainEqual({ id: own });
    // Whether the other one is paid as well, a person must know.
    expect((await host.payouts.find(payout.id)).heard).toContain(`${own}:paid`);
  });
});

describe('128: `is_partial_payment` in every spelling', () => {
  const YES = ['1', 'true', 'TRUE', 'True', 't', 'yes', 'Y', 'on', '1.0', ' true '];
  const NO = ['0', 'false', 'FALSE', 'False', 'f', 'no', 'off', '0.0', '', null];
  const waiting = async (): Promise<Made & { providerId: string }> => {
    const providerId = id();
    answers(provider, () => ok({ payment_status: 'wait', id: providerId }));
    const payout = await made();
    await becomes(payout.id, 'wait');
    return { ...payout, providerId: String(providerId) };
  };

  it('in a notification', async () => {
    for (const [is_partial_payment, state] of [
      ...YES.map((flag) => [flag, 'paid paid_in_part'] as const),
      ...NO.map((flag) => [flag, 'paid'] as const),
    ]) {
      const { providerId, ...payout } = await waiting();
      expect(await notify(payout, { id: providerId, payment_status: 'paid', is_partial_payment })).toBe(200);
      expect([is_partial_payment, await stateOf(payout.id)]).toEqual([is_partial_payment, state]);
    }
  });

  it('in an answer of the status call', async () => {
    for (const [is_partial_payment, state] of [
      ...[true, 1, ...YES].map((flag) => [flag, 'paid paid_in_part'] as const),
      ...[false, 0, ...NO].map((flag) => [flag, 'paid'] as const),
    ]) {
      const { providerId, ...payout } = await waiting();
      provider.onStatus = () => record(payout.orderId, Number(providerId), 'paid', { is_partial_payment });
      await host.payouts.refresh(payout.id);
      expect([is_partial_payment, await stateOf(payout.id)]).toEqual([is_partial_payment, state]);
    }
    provider.onStatus = () => NOT_FOUND;
  });

  it.each(['maybe', '2', 'null', 'ja'])('one that is none of them (%s) is not taken for "no"', async (flag) => {
    const { providerId, ...payout } = await waiting();
    expect(await notify(payout, { id: providerId, payment_status: 'paid', is_partial_payment: flag })).toBe(200);
    expect(await stateOf(payout.id)).toBe('wait');
    provider.onStatus = () => record(payout.orderId, Number(providerId), 'paid', { is_partial_payment: flag });
    await expect(host.payouts.refresh(payout.id)).rejects.toThrow('partial_unreadable');
    expect(await stateOf(payout.id)).toBe('wait');
    provider.onStatus = () => NOT_FOUND;
  });

  it.each(['0', '1', 'false', null])('a short payment_amount is a part, whatever the flag says (%s)', async (flag) => {
    const part = { payment_status: 'paid', is_partial_payment: flag };
    const notified = await waiting();
    await notify(notified, { id: notified.providerId, ...part, payment_amount: '11.99' });
    expect(await stateOf(notified.id)).toBe('paid paid_in_part');
    const asked = await waiting();
    provider.onStatus = () =>
      record(asked.orderId, Number(asked.providerId), 'paid', { is_partial_payment: flag, payment_amount: '11.9' });
    await host.payouts.refresh(asked.id);
    expect(await stateOf(asked.id)).toBe('paid paid_in_part');
    provider.onStatus = () => NOT_FOUND;
  });
});

it('130: old notifications replayed in turn -> no history without end, no closed alarm reopened', async () => {
  const providerId = id();
  answers(provider, () => ok({ payment_status: 'wait', id: providerId }));
  const payout = await made();
  await becomes(payout.id, 'wait');
  const turns: Record<string, string>[] = [
    { payment_status: 'paid' },
    { payment_status: 'fail' },
    { payment_status: 'cancel' },
    { payment_status: 'paid', amount: '999.00' },
    { payment_status: 'paid', id: String(id()) },
    { payment_status: 'wait' },
  ];
  const own = { id: String(providerId) };
  for (const turn of turns) await notify(payout, { ...own, ...turn });
  const heard: string = await stateOf(payout.id);
  expect(heard).toBe('paid conflict_amount conflict_provider_id conflict_status');
  const length = (await host.payouts.events(payout.id)).length;
  for (let i = 0; i < 5; i++) for (const turn of turns) expect(await notify(payout, { ...own, ...turn })).toBe(200);
  expect([await stateOf(payout.id), (await host.payouts.events(payout.id)).length]).toEqual([heard, length]);
  const attention = ['conflict_amount', 'conflict_provider_id', 'conflict_status'] as const;
  await decideNow(host.payouts, payout.id, { outcome: 'acknowledge', reason: 'support', attention: [...attention] });
  for (let i = 0; i < 3; i++) {
    // Word for word, and the same facts in another text.
    for (const turn of turns) await notify(payout, { ...own, ...turn, desc: i === 0 ? null : `replay ${i}` });
  }
  expect([await stateOf(payout.id), (await host.payouts.events(payout.id)).length]).toEqual(['paid', length + 1]);
});

it('a provider that names another id each time fills neither the history nor the row', async () => {
  const providerId = id();
  answers(provider, () => ok({ payment_status: 'wait', id: providerId }));
  const payout = await made();
  await becomes(payout.id, 'wait');
  for (let i = 0; i < 80; i++) await notify(payout, { id: String(id()), payment_status: 'fail' });
  const { heard, attention } = await host.payouts.find(payout.id);
  expect(heard).toHaveLength(50);
  expect(attention).toContain('conflict_provider_id');
  expect((await host.payouts.events(payout.id)).length).toBeLessThan(60);
});

it('one attempt is known under two ids, and one has failed -> not ended, by a person neither while the other is paid', async () => {
  const [own, other] = [id(), id()];
  provider.onCreate = () => ok({ id: own, payment_status: 'wait' });
  const payout = await made();
  const records = { [own]: 'wait', [other]: 'paid' };
  knows(payout.orderId, records);
  await becomes(payout.id, 'wait');
  expect(await notify(payout, { id: String(other), payment_status: 'paid' })).toBe(200);
  records[own] = 'fail';
  await becomes(payout.id, 'wait attempts_unaccounted conflict_provider_id');
  await expect(decideNow(host.payouts, payout.id, FAIL)).rejects.toThrow('knows the order');
  expect(await stateOf(payout.id)).toContain('wait');
  records[other] = 'fail';
  await decideNow(host.payouts, payout.id, FAIL);
  expect(await stateOf(payout.id)).toBe('fail');
});
