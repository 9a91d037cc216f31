import { AliKassaError, StaleRevisionError } from '../../src/alikassa.errors.js';
import type { PayoutEventDto, ResolvePayoutDto } from '../../src/payouts/payout.dto.js';
import { RUB, startApplication, type TestApplication } from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { DatabaseProxy } from '../helpers/database.proxy.js';
import { signedQueryOf } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { create, historyOf, type Accepted } from '../helpers/payout.checks.js';
import { until } from '../helpers/until.js';

type Alarms = NonNullable<ResolvePayoutDto['attention']>;
interface Answered {
  status: number;
  body: Record<string, unknown>;
}
type Decide = (id: string, revision: number, decision: ResolvePayoutDto | 'withdraw') => Promise<Answered>;

const FAIL = { outcome: 'fail', reason: 'support: it never arrived' } as const;
const RESUBMIT = { outcome: 'resubmit', reason: 'support: it never arrived' } as const;
const acknowledge = (...attention: Alarms) =>
  ({ outcome: 'acknowledge', reason: 'support has seen it', attention }) as const;

let proxy: DatabaseProxy;
let host: TestApplication;
beforeAll(async () => {
  const database = await createTestDatabase();
  proxy = await DatabaseProxy.start(database.url);
  // Asked until a person is called, and then no more: what the provider is asked after that, a person has asked.
  const options = { checkSchedule: [100, 100, 100, 100, 100, 3_600_000], rejectAfterMs: 200, followUpSchedule: [] };
  host = await startApplication({ database, options, dataSource: { url: proxy.url } });
});
afterAll(async () => {
  await host.stop();
  await proxy.stop();
});

const shown = async (id: string) => {
  const { status, attention, attempt, revision, providerId } = await host.payouts.find(id);
  return { status, attention, attempt, revision, providerId };
};
const decisionsOn = async (id: string) => (await host.payouts.events(id)).filter(({ decision }) => decision !== null);
const submissions = (orderId: string): number =>
  host.simulator.requests.filter((one) => one.endpoint === 'payout' && one.orderId === orderId).length;
const questions = (orderId: string): number =>
  host.simulator.requests.filter((one) => one.endpoint === 'status' && one.orderId === orderId).length;

/** A payout that may have been sent, and that the provider does not have: a person is called. */
async function held(): Promise<Accepted & { revision: number }> {
  const body = payload();
  host.simulator.script({ on: 'payout', orderId: String(body['order_id']), drop: 'before' });
  const payout = await create(host, body);
  return { ...payout, revision: await untilHeld(payout.id) };
}

/** A payout that its paused account keeps in the queue: it may be taken back. */
async function queued(): Promise<Accepted & { revision: number }> {
  const { pool } = host.database;
  await pool.query(
    `INSERT INTO alikassa_account_pauses (account, reason, since, paused_until)
     VALUES ($1, 'rate_limited', now(), now() + interval '1 h')`,
    [RUB],
  );
  const payout = await create(host, payload());
  await until(async () => (await shown(payout.id)).attention.includes('paused_rate_limited'));
  await pool.query('DELETE FROM alikassa_account_pauses');
  return { ...payout, revision: (await shown(payout.id)).revision };
}

async function untilHeld(id: string): Promise<number> {
  // Until it is asked about no more by itself, too.
  await until(async () => {
    const { attention, dueAt } = await host.payouts.find(id);
    return attention.includes('not_found') && dueAt !== null && dueAt.getTime() > Date.now() + 60_000;
  });
  return (await shown(id)).revision;
}

/** A payout that is paid, and against which the provider has said something. */
async function contradicted(): Promise<Accepted & { revision: number }> {
  const payout = await create(host, payload());
  await host.until(payout.id, 'paid');
  await notify(payout, { payment_status: 'fail' });
  return { ...payout, revision: (await shown(payout.id)).revision };
}

async function notify({ id }: Accepted, changes: Record<string, string>): Promise<void> {
  const query = signedQueryOf(host.simulator, await host.payouts.find(id), changes);
  await host.http().get(`/alikassa/notifications?${query}`).expect(200);
}

const byRest: Decide = async (id, revision, decision) => {
  const action = decision === 'withdraw' ? 'withdraw' : 'resolve';
  const call = host.http().post(`/alikassa/payouts/${id}/${action}`).set('If-Match', `"${revision}"`);
  const { status, body } = await (decision === 'withdraw' ? call : call.send(decision));
  return { status, body: body as Answered['body'] };
};
const byService =
  (actor: string): Decide =>
  async (id, revision, decision) => {
    try {
      const payout = await (decision === 'withdraw'
        ? host.payouts.withdraw(id, { revision, actor })
        : host.payouts.resolve(id, decision, { revision, actor }));
      return { status: 200, body: { status: payout.status, attention: payout.attention } };
    } catch (error) {
      if (!(error instanceof AliKassaError)) throw error;
      const stale = error instanceof StaleRevisionError ? { revision: error.revision, changes: error.changes } : {};
      return { status: error.httpStatus, body: { code: error.code, message: error.message, ...stale } };
    }
  };
const WAYS: [string, Decide, Decide][] = [
  ['the service', byService('ann'), byService('bob')],
  ['REST', byRest, byRest],
];
const stale = (revision: number, ...changes: object[]) => ({
  status: 412,
  body: expect.objectContaining({ code: 'stale_revision', revision, changes: changes.map(like) }) as unknown,
});
const like = (change: object): unknown => expect.objectContaining(change);

describe.each(WAYS)('119: two people decide on one payout by %s, the second on what is no longer so', (_, ann, bob) => {
  it('fail, then fail for another reason -> refused, and shown what has changed', async () => {
    const { id, revision } = await held();
    expect(await ann(id, revision, FAIL)).toMatchObject({ status: 200, body: { status: 'fail' } });
    const second = await bob(id, revision, { ...FAIL, reason: 'the cabinet does not show it' });
    const change = { type: 'person', from_status: 'unknown', to_status: 'fail', revision: revision + 1 };
    expect(second).toEqual(stale(revision + 1, { ...change, detail: like(FAIL) }));
    expect(second.body['message']).toMatch(/person \(unknown -> fail\)/);
    expect(await decisionsOn(id)).toHaveLength(1);
  });

  it('fail, then resubmit -> refused, and nothing is sent again', async () => {
    const { id, orderId, revision } = await held();
    await ann(id, revision, FAIL);
    const asked = questions(orderId);
    expect(await bob(id, revision, RESUBMIT)).toEqual(stale(revision + 1, { type: 'person', to_status: 'fail' }));
    expect([await shown(id), submissions(orderId)]).toMatchObject([{ status: 'fail', attempt: 1 }, 1]);
    expect(questions(orderId)).toBe(asked);
  });

  it('fail and resubmit at once -> one of them', async () => {
    const { id, orderId, revision } = await held();
    const answers = await Promise.all([ann(id, revision, FAIL), bob(id, revision, RESUBMIT)]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
    const isSentAgain = answers[1].status === 200;
    await host.until(id, isSentAgain ? 'paid' : 'fail');
    expect([submissions(orderId), (await decisionsOn(id)).length]).toEqual([isSentAgain ? 2 : 1, 1]);
  });

  it('resubmit, and it is sent; then fail -> refused, though it could be decided on again', async () => {
    const { id, orderId, revision } = await held();
    host.simulator.script({ on: 'payout', orderId, drop: 'before' });
    await ann(id, revision, RESUBMIT);
    const now = await untilHeld(id);
    const second = await bob(id, revision, FAIL);
    expect(second).toMatchObject({ status: 412, body: { revision: now } });
    const changes = (second.body['changes'] as PayoutEventDto[]).map(({ type }) => type);
    expect(changes.slice(0, 3)).toEqual(['person', 'claimed', 'submission']);
    expect(await shown(id)).toMatchObject({ status: 'unknown', attempt: 2, attention: ['not_found'] });
  });

  it('a withdrawal of what was claimed meanwhile -> refused', async () => {
    const { id } = await create(host, payload());
    await host.until(id, 'paid');
    const answer = await bob(id, 0, 'withdraw');
    expect(answer).toMatchObject({ status: 412, body: { code: 'stale_revision' } });
    expect(answer.body['changes']).toMatchObject([{ type: 'claimed' }, { type: 'submission' }, { to_status: 'paid' }]);
    expect(await decisionsOn(id)).toEqual([]);
  });

  it('a withdrawal of what was looked at otherwise -> refused, though it could be taken back again', async () => {
    const { id, revision } = await queued();
    const seen = revision - 1;
    expect(await bob(id, seen, 'withdraw')).toEqual(stale(revision, { type: 'paused', to_status: 'queued' }));
    expect((await shown(id)).status).toBe('queued');
    expect(await ann(id, revision, 'withdraw')).toMatchObject({ status: 200, body: { status: 'withdrawn' } });
    expect(await bob(id, revision, FAIL)).toMatchObject({ status: 412 });
  });

  it('closes alarms of which it has not seen all -> refused; each is closed by its name', async () => {
    const payout = await contradicted();
    const { id, revision } = payout;
    await notify(payout, { amount: '999.00', payment_amount: '999.00' });
    const both: Alarms = ['conflict_amount', 'conflict_status'];
    expect(await shown(id)).toMatchObject({ status: 'paid', attention: both });
    const second = { type: 'notification', detail: like({ conflict: 'amount' }) };
    expect(await ann(id, revision, acknowledge('conflict_status'))).toEqual(stale(revision + 1, second));
    expect((await shown(id)).attention).toEqual(both);
    expect(await ann(id, revision + 1, acknowledge('paid_in_part'))).toMatchObject({ status: 409 });
    const closed = await ann(id, revision + 1, acknowledge('conflict_status'));
    expect(closed).toMatchObject({ status: 200, body: { status: 'paid', attention: ['conflict_amount'] } });
    expect(await bob(id, revision + 1, acknowledge('conflict_amount'))).toMatchObject({ status: 412 });
    expect((await shown(id)).attention).toEqual(['conflict_amount']);
    // Deciding on it again closes nothing.
    expect(await bob(id, revision + 2, { outcome: 'paid', reason: 'r' })).toMatchObject({ status: 409 });
    expect((await shown(id)).attention).toEqual(['conflict_amount']);
  });
});

it('who says the same as somebody else before has not decided', async () => {
  const { id, revision } = await held();
  await byService('ann')(id, revision, FAIL);
  expect(await byService('bob')(id, revision, FAIL)).toMatchObject({ status: 412 });
  expect((await decisionsOn(id)).map(({ actor }) => actor)).toEqual(['ann']);
});

it.each([
  [428, undefined],
  [400, '*'],
  [400, '1'],
  [400, '"1", "2"'],
  [400, '"-1"'],
  [400, '"1e3"'],
  [400, '"99999999999"'],
])('a decision by REST that does not say on which revision is answered with %i (If-Match: %s)', async (status, tag) => {
  const { id } = await queued();
  for (const call of [
    host.http().post(`/alikassa/payouts/${id}/withdraw`),
    host.http().post(`/alikassa/payouts/${id}/resolve`).send(FAIL),
  ]) {
    const answer = await (tag === undefined ? call : call.set('If-Match', tag));
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining('If-Match')]);
  }
  expect(await decisionsOn(id)).toEqual([]);
});

it('a decision through the service that does not say on which revision is refused', async () => {
  const { id } = await queued();
  for (const revision of [undefined, null, -1, 1.5, Number.NaN, '1'] as never[]) {
    const error = revision === undefined ? 'RevisionRequiredError' : 'InvalidInputError';
    await expect(host.payouts.withdraw(id, { revision })).rejects.toMatchObject({ name: error });
    await expect(host.payouts.resolve(id, FAIL, { revision })).rejects.toMatchObject({ name: error });
  }
  await expect(host.payouts.withdraw(id, undefined as never)).rejects.toMatchObject({ name: 'RevisionRequiredError' });
  expect(await decisionsOn(id)).toEqual([]);
});

it('a refresh of what was seen otherwise asks nothing', async () => {
  const { id, orderId, revision } = await held();
  const asked = questions(orderId);
  await host
    .http()
    .post(`/alikassa/payouts/${id}/refresh`)
    .set('If-Match', `"${revision - 1}"`)
    .expect(412);
  await expect(host.payouts.refresh(id, { revision: revision + 1 })).rejects.toThrow(StaleRevisionError);
  expect(questions(orderId)).toBe(asked);
});

describe.each(['answer', 'request'] as const)("120: the COMMIT's %s of a decision is lost", (lost) => {
  it.each(WAYS)('-> decided once, and reported as done, by %s', async (_, decide) => {
    const cut = (statement: RegExp) => proxy.cut({ statement, lost });
    const failed = await held();
    const first = cut(/UPDATE "alikassa_payouts"[^]*person/);
    expect(await decide(failed.id, failed.revision, FAIL)).toMatchObject({ status: 200, body: { status: 'fail' } });
    await first;
    expect(await decisionsOn(failed.id)).toHaveLength(1);

    const again = await held();
    const second = cut(/UPDATE "alikassa_payouts"[^]*person/);
    expect(await decide(again.id, again.revision, RESUBMIT)).toMatchObject({ status: 200 });
    await second;
    await host.until(again.id, 'paid');
    expect([submissions(again.orderId), (await decisionsOn(again.id)).length]).toEqual([2, 1]);

    const closed = await contradicted();
    const third = cut(/UPDATE "alikassa_payouts"[^]*person/);
    const answer = await decide(closed.id, closed.revision, acknowledge('conflict_status'));
    expect(answer).toMatchObject({ status: 200, body: { status: 'paid', attention: [] } });
    await third;
    expect(await decisionsOn(closed.id)).toHaveLength(1);
  });
});

it.each(WAYS)('a withdrawal too is done once, and its repeat found done, by %s', async (_, decide) => {
  for (const lost of ['answer', 'request'] as const) {
    const { id, revision } = await queued();
    const cut = proxy.cut({ statement: /UPDATE "alikassa_payouts"[^]*withdrawal/, lost });
    expect(await decide(id, revision, 'withdraw')).toMatchObject({ status: 200, body: { status: 'withdrawn' } });
    await cut;
    expect(await decide(id, revision, 'withdraw')).toMatchObject({ status: 200, body: { status: 'withdrawn' } });
    expect(await decisionsOn(id)).toHaveLength(1);
  }
});

describe.each(WAYS)('121: the caller repeats a decision word for word by %s', (_, decide) => {
  it.each([FAIL, { outcome: 'paid', reason: 'the cabinet shows it' } as const])(
    '-> done once (%j)',
    async (decision) => {
      const { id, orderId, revision } = await held();
      const answers = await Promise.all([1, 2, 3].map(() => decide(id, revision, decision)));
      const asked = questions(orderId);
      answers.push(await decide(id, revision, decision));
      for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { status: decision.outcome } });
      expect([(await decisionsOn(id)).length, questions(orderId)]).toEqual([1, asked]);
    },
  );

  it('after another attempt has been made -> that one is not touched', async () => {
    const { id, orderId, revision } = await held();
    host.simulator.script({ on: 'payout', orderId, drop: 'before' });
    expect(await decide(id, revision, RESUBMIT)).toMatchObject({ status: 200 });
    await untilHeld(id);
    const [before, asked, events] = [await shown(id), questions(orderId), await historyOf(host, id)];
    expect(before).toMatchObject({ status: 'unknown', attempt: 2 });
    const repeat = await decide(id, revision, RESUBMIT);
    expect(repeat).toMatchObject({ status: 200, body: { status: 'unknown', attention: ['not_found'] } });
    expect([await shown(id), questions(orderId), await historyOf(host, id)]).toEqual([before, asked, events]);
    expect(submissions(orderId)).toBe(2);
  });

  it('an alarm that has come back since stays', async () => {
    const payout = await contradicted();
    const { id, revision } = payout;
    expect(await decide(id, revision, acknowledge('conflict_status'))).toMatchObject({ status: 200 });
    await notify(payout, { payment_status: 'cancel' });
    expect((await shown(id)).attention).toEqual(['conflict_status']);
    expect(await decide(id, revision, acknowledge('conflict_status'))).toMatchObject({ status: 200 });
    expect((await shown(id)).attention).toEqual(['conflict_status']);
    expect(await decisionsOn(id)).toHaveLength(1);
  });
});

describe.each(WAYS)('the provider is asked before fail and resubmit, by %s', (_, decide) => {
  const says = (orderId: string, answer: { status: number; body?: string }): void => {
    host.simulator.script({ on: 'status', orderId, answer });
  };
  const record = (orderId: string, payment_status: string): string =>
    JSON.stringify({ id: 900_000_000 + host.simulator.requests.length, order_id: orderId, payment_status });

  it.each([
    [FAIL, 'paid'],
    [FAIL, 'wait'],
    [RESUBMIT, 'paid'],
    [RESUBMIT, 'wait'],
    [RESUBMIT, 'fail'],
    // Ended by the provider's own word, which is more than a person's.
    [FAIL, 'cancel'],
  ] as const)('%j, and it knows the order as %s -> refused, and that settles', async (decision, said) => {
    const { id, orderId, revision } = await held();
    says(orderId, { status: 200, body: record(orderId, said) });
    const answer = await decide(id, revision, { ...decision, unasked: true });
    expect(answer).toMatchObject({ status: 409, body: { code: 'state_conflict' } });
    expect(answer.body['message']).toContain(said);
    expect(await shown(id)).toMatchObject({ status: said, attempt: 1 });
    expect([await decisionsOn(id), submissions(orderId)]).toEqual([[], 1]);
  });

  it.each([
    [{ status: 503 }, 'http_503'],
    [{ status: 401 }, 'http_401'],
    [{ status: 404, body: '{"message":"no Route matched with those values"}' }, 'http_404'],
    [{ status: 200, body: '<html>' }, 'not_json'],
  ])('and it answers %j: it cannot be asked -> 502; said to be so, it stands in the event', async (answer, asked) => {
    for (const decision of [FAIL, RESUBMIT]) {
      const { id, orderId, revision } = await held();
      says(orderId, answer);
      const refused = await decide(id, revision, decision);
      expect(refused).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } });
      expect(refused.body['message']).toContain('unasked: true');
      expect([await shown(id), submissions(orderId)]).toMatchObject([{ status: 'unknown', revision, attempt: 1 }, 1]);
      says(orderId, answer);
      expect(await decide(id, revision, { ...decision, unasked: true })).toMatchObject({ status: 200 });
      expect(await decisionsOn(id)).toMatchObject([{ detail: { ...decision, asked, unasked: true } }]);
      await host.until(id, decision === FAIL ? 'fail' : 'paid');
    }
    await host.database.pool.query('DELETE FROM alikassa_account_pauses');
  });

  it('and it does not know the order -> decided, and the event says that it was asked', async () => {
    const { id, orderId, revision } = await held();
    const before = questions(orderId);
    expect(await decide(id, revision, FAIL)).toMatchObject({ status: 200 });
    expect(questions(orderId)).toBe(before + 1);
    const [decision] = await decisionsOn(id);
    expect(decision?.detail).toEqual({ ...FAIL, asked: 'not_found' });
  });

  it('but not before paid', async () => {
    const { id, orderId, revision } = await held();
    const before = questions(orderId);
    expect(await decide(id, revision, { outcome: 'paid', reason: 'the cabinet shows it' })).toMatchObject({
      status: 200,
    });
    expect(questions(orderId)).toBe(before);
  });
});
