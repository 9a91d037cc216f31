import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import type { Alarm } from '../../src/payouts/attention.js';
import type { RequestFault } from '../../src/testing/index.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { decideNow } from '../helpers/people.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

const GOOD = { payment_status: 'wait', id: 100_001_524 };
type Answer = NonNullable<RequestFault['answer']>;
const ok = (body: unknown): Answer => ({ status: 200, body: typeof body === 'string' ? body : JSON.stringify(body) });

let host: TestApplication;
beforeAll(async () => {
  host = await startApplication({
    options: { timeoutMs: 2_000, leaseMs: 6_000, checkSchedule: [250], rejectAfterMs: 400 },
  });
});
afterAll(async () => host.stop());

const create = async (changes: Record<string, unknown>, to = host): Promise<string> =>
  ((await to.http().post('/alikassa/payouts').send(payload(changes))).body as PayoutDto).id;
const submissionOf = async (id: string, on = host) =>
  (await on.payouts.events(id)).find(({ type }) => type === 'submission');

/** An answer that proves nothing: unknown, whether the provider has recorded the payout or not, and then the true state. */
async function expectUnknown(
  name: string,
  answers: Answer[],
  outcome: string,
  reason: RegExp,
  on = host,
): Promise<void> {
  const run = async (answer: Answer, accept: boolean, index: number): Promise<void> => {
    const order_id = `${name.slice(0, 2)}-${index}-${accept}`;
    on.simulator.script({ on: 'payout', orderId: order_id, accept, notification: 'lost', answer });
    const id = await create({ order_id }, on);
    await until(async () => (await submissionOf(id, on)) !== undefined);
    expect(await submissionOf(id, on)).toMatchObject({
      fromStatus: 'sending',
      toStatus: 'unknown',
      detail: { outcome, http_status: answer.status, reason: expect.stringMatching(reason) as string },
    });
    if (accept) await on.until(id, 'paid');
    else await until(async () => (await on.payouts.find(id)).notFoundCount >= 3);
    const { status, attempt } = await on.payouts.find(id);
    expect([status, attempt, on.simulator.accepted(order_id)]).toEqual([
      accept ? 'paid' : 'unknown',
      1,
      accept ? 1 : 0,
    ]);
    const statuses = (await on.payouts.events(id)).map(({ toStatus }) => toStatus);
    expect(statuses).not.toContain('fail');
    expect(statuses).not.toContain('rejected');
    if (!accept) await decideNow(on.payouts, id, { outcome: 'fail', reason: 'the test is over' });
  };
  await Promise.all(answers.flatMap((answer, i) => [run(answer, true, i), run(answer, false, i)]));
}

it.each<[string, Answer[], RegExp]>([
  ['37: 200 with an empty body -> unknown', [ok('')], /^not_json$/],
  ['38: 200 HTML -> unknown', [ok('<html><body>It works!</body></html>')], /^not_json$/],
  ['39: 200 with truncated JSON -> unknown', [ok(JSON.stringify(GOOD).slice(0, 25))], /^not_json$/],
  ['40: 200 with an array or null -> unknown', [ok([GOOD]), ok('null')], /^not_an_object$/],
  ['41: 200 without id -> unknown', [ok({ payment_status: 'wait' })], /^id_unreadable$/],
  ['42: 200 with an unknown status -> unknown', [ok({ ...GOOD, payment_status: 'done' })], /^status_unreadable$/],
  ['43: 200 that echoes another order_id -> unknown', [ok({ ...GOOD, order_id: 'other' })], /^other_order$/],
  ['44: 201 -> unknown', [{ ...ok(GOOD), status: 201 }], /^http_201$/],
  ['45: 204 -> unknown', [{ status: 204 }], /^http_204$/],
  ['48: 404 -> unknown', [{ status: 404 }], /^http_404$/],
  ['49: 408 -> unknown', [{ status: 408 }], /^http_408$/],
  ['50: 409 -> unknown', [{ status: 409, body: '{"message":"Conflict"}' }], /^http_409$/],
  ['51: 422 -> unknown', [{ status: 422, body: '{"message":"x","errors":{"number":["bad"]}}' }], /^http_422$/],
  ['53: 500 -> unknown', [{ status: 500, body: '{"payment_status":"fail","id":1}' }], /^http_500$/],
  ['54: 502 -> unknown', [{ status: 502 }], /^http_502$/],
  ['55: 503 -> unknown', [{ status: 503, headers: { 'retry-after': '1' } }], /^http_503$/],
  ['56: 504 -> unknown', [{ status: 504 }], /^http_504$/],
])('%s', async (name, answers, reason) => {
  await expectUnknown(name, answers, 'unclear', reason);
});

it('46: 301, 302, 307 and 308 -> unknown, and the card number goes nowhere else', async () => {
  let elsewhere = 0;
  const other = http.createServer((_, response) => response.end(String((elsewhere += 1))));
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/v1/payout`;
  const answers = [301, 302, 307, 308].map((status) => ({ status, headers: { location } }));
  await expectUnknown('46', answers, 'unclear', /^http_30[1278]$/);
  expect(elsewhere).toBe(0);
  await new Promise((resolve) => other.close(resolve));
});

describe('what pauses the account', () => {
  it.each<[string, Answer[], string, Alarm]>([
    [
      '47: 401 or 403 -> unknown, and dispatch pauses',
      [{ status: 401 }, { status: 403 }],
      'unauthorized',
      'paused_unauthorized',
    ],
    [
      '52: 429 -> unknown, honours Retry-After',
      [{ status: 429, headers: { 'retry-after': '2' } }],
      'rate_limited',
      'paused_rate_limited',
    ],
  ])('%s', async (_name, answers, outcome, attention) => {
    for (const [index, answer] of answers.entries()) {
      // Nothing but Retry-After, or the balance call, ends the pause early.
      const paused = await startApplication({ options: { checkSchedule: [250], rejectAfterMs: 400, pauseMs: 1_500 } });
      const sent = (): number => paused.simulator.requests.filter(({ endpoint }) => endpoint === 'payout').length;
      paused.simulator.script({ on: 'payout', accept: index === 0, notification: 'lost', answer });
      const first = await create({ order_id: 'first' }, paused);
      await until(async () => (await submissionOf(first, paused)) !== undefined);
      expect(await submissionOf(first, paused)).toMatchObject({
        toStatus: 'unknown',
        detail: { outcome, http_status: answer.status, reason: `http_${answer.status}` },
      });
      const answeredAt = performance.now();
      const second = await create({ order_id: 'second' }, paused);
      await until(async () => (await paused.payouts.find(second)).attention.includes(attention));
      expect([(await paused.payouts.find(second)).status, sent()]).toEqual(['queued', 1]);
      const length =
        'SELECT round(extract(epoch FROM paused_until - since), 1)::float AS s FROM alikassa_account_pauses';
      expect((await paused.database.pool.query(length)).rows).toEqual([{ s: outcome === 'rate_limited' ? 2 : 1.5 }]);
      await paused.until(second, 'paid');
      // Not before the pause was over; a timer may be early by a millisecond.
      expect(performance.now() - answeredAt).toBeGreaterThan(outcome === 'rate_limited' ? 1_900 : 1_400);
      await paused.until(first, index === 0 ? 'paid' : 'unknown');
      expect(['first', 'second'].map((id) => paused.simulator.accepted(id))).toEqual([index === 0 ? 1 : 0, 1]);
      await paused.stop();
    }
  });
});

it.each([
  { rejectAfterNotFound: 5, rejectAfterMs: 1 },
  { rejectAfterNotFound: 1, rejectAfterMs: 1_500 },
])(
  '57: the documented 400, and the status says "not found" as often as configured -> rejected (%p)',
  async ({ rejectAfterNotFound, rejectAfterMs }) => {
    const node = await startApplication({ options: { checkSchedule: [100], rejectAfterNotFound, rejectAfterMs } });
    const id = await create({ order_id: 'refused', amount: '5.01' }, node);
    await node.until(id, 'rejected');
    const events = await node.payouts.events(id);
    expect(events.map(({ type, toStatus }) => `${type}: ${toStatus}`)).toEqual([
      'created: queued',
      'claimed: sending',
      'submission: unknown',
      'check: unknown',
      'check: rejected',
    ]);
    const [, , refused, , rejected] = events;
    expect(refused?.detail).toMatchObject({ outcome: 'refused', errors: { number: [expect.any(String)] } });
    expect(rejected?.detail).toMatchObject({ outcome: 'not_found' });
    const { notFoundCount, notFoundSince, settledAt } = await node.payouts.find(id);
    expect(notFoundCount).toBeGreaterThanOrEqual(rejectAfterNotFound);
    expect(settledAt!.getTime() - notFoundSince!.getTime()).toBeGreaterThanOrEqual(rejectAfterMs);
    expect([submissionsOf(node.simulator, 'refused'), node.simulator.accepted('refused')]).toEqual([1, 0]);
    await node.stop();
  },
);

it('the documented 400 after an attempt that may have been sent is no reason for `rejected`', async () => {
  host.simulator.script({ on: 'payout', orderId: 'maybe-refused', drop: 'before' });
  const id = await create({ order_id: 'maybe-refused', amount: '5.01' });
  const isHeld = async (): Promise<boolean> => (await host.payouts.find(id)).attention.includes('not_found');
  await until(isHeld);
  await decideNow(host.payouts, id, { outcome: 'resubmit', reason: 'support: never arrived' });
  await until(isHeld);
  const refused = (await host.payouts.events(id)).filter(({ type }) => type === 'submission').at(-1);
  expect(refused).toMatchObject({ toStatus: 'unknown', detail: { outcome: 'refused' } });
  expect((await host.payouts.find(id)).status).toBe('unknown');
  await decideNow(host.payouts, id, { outcome: 'fail', reason: 'the test is over' });
});

describe('58: a 400 that names order_id: it is taken, so the status call decides', () => {
  const taken = JSON.stringify({
    message: 'The given data was invalid.',
    errors: { order_id: ['The order id has already been taken.'] },
  });

  it('what the provider has is found', async () => {
    host.simulator.script({
      on: 'payout',
      orderId: 'taken',
      notification: 'lost',
      answer: { status: 400, body: taken },
    });
    const id = await create({ order_id: 'taken' });
    await host.until(id, 'paid');
    expect([(await submissionOf(id))?.toStatus, host.simulator.accepted('taken')]).toEqual(['unknown', 1]);
  });

  it('what it does not find is no reason for `rejected`', async () => {
    host.simulator.script({ on: 'payout', orderId: 'odd', accept: false, answer: { status: 400, body: taken } });
    const id = await create({ order_id: 'odd' });
    await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
    const { notFoundCount } = await host.payouts.find(id);
    await until(async () => (await host.payouts.find(id)).notFoundCount > notFoundCount + 1);
    expect((await host.payouts.find(id)).status).toBe('unknown');
    await decideNow(host.payouts, id, { outcome: 'fail', reason: 'the test is over' });
  });
});
