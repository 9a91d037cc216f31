import fc from 'fast-check';
import type { NotificationParameters } from '../../src/testing/index.js';
import { RUB } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';
import { payload } from '../helpers/payload.js';
import { TOKENS } from '../helpers/reference.js';
import {
  startApplicationProcess,
  type ApplicationProcess,
  type FuzzAnswer,
  type FuzzRequest,
} from './application.process.js';
import {
  anyText,
  createBody,
  queryOf,
  resolveBody,
  someHeaders,
  urlText,
  wellFormedText,
  type FuzzBody,
} from './arbitraries.js';
import { fuzz } from './runs.js';

const JSON_TYPE = { 'content-type': 'application/json' };
const HOUR_MS = 3_600_000;
const authorized = (name: keyof typeof TOKENS): Record<string, string> => ({
  authorization: `Bearer ${TOKENS[name].text}`,
});
let host: ApplicationProcess;
/** Payouts in every state in which they can rest. */
let ids: string[] = [];
let waiting: { order_id: string; provider_id: string };

beforeAll(async () => {
  host = await startApplicationProcess();
  for (const [amount, status] of [
    ['12.00', 'paid'],
    ['12.02', 'fail'],
    ['12.04', 'wait'],
    ['12.00', 'unknown'],
  ] as const) {
    const order = payload({ amount });
    if (status === 'unknown')
      host.simulator.script({ on: 'payout', orderId: String(order['order_id']), drop: 'before' });
    const headers = { ...authorized('all'), ...JSON_TYPE };
    const created = await host.send({ method: 'POST', path: 'payouts', headers, body: JSON.stringify(order) });
    const { id } = JSON.parse(created.text) as { id: string };
    ids.push(id);
    const rested = await eventually(`a payout rests as ${status}`, async () => {
      const { text } = await host.send({ method: 'GET', path: `payouts/${id}`, headers });
      const payout = JSON.parse(text) as { status: string; order_id: string; provider_id: string };
      return payout.status === status && payout;
    });
    if (status === 'wait') waiting = rested;
  }
});
afterAll(async () => host.stop());

function isDocumented(status: number, text: string): boolean {
  const { statusCode, error, code, message, ...more } = JSON.parse(text) as Record<string, unknown>;
  const { revision, changes, ...rest } = more;
  const isStale = Number.isInteger(revision) && Array.isArray(changes);
  const isCode = typeof code === 'string' && /^[a-z_]+$/.test(code);
  const isKnown = isStale === (code === 'stale_revision');
  return (
    isKnown &&
    statusCode === status &&
    typeof error === 'string' &&
    isCode &&
    !!message &&
    Object.keys(rest).length === 0
  );
}

/** No fault of ours, and an answer in the documented form. */
function expectSound(
  { status, text }: FuzzAnswer,
  { method }: FuzzRequest,
  { numbers }: Pick<FuzzBody, 'numbers'>,
): void {
  expect(status).toBeLessThan(500);
  expect(host.faults()).toEqual([]);
  expect([status < 400 || method === 'HEAD' || isDocumented(status, text), text]).toEqual([true, text]);
  for (const number of numbers) expect(text).not.toContain(number);
}

const id = fc.oneof(
  { weight: 5, arbitrary: fc.nat().map((index) => ids[index % ids.length] ?? '') },
  fc.uuid(),
  urlText,
);
const none = fc.constant<FuzzBody>({ text: '', numbers: [] });
const at = (method: string, path: fc.Arbitrary<string>, body: fc.Arbitrary<FuzzBody> = none) =>
  fc.record({ method: fc.constant(method), path, body });
const of = (action: string): fc.Arbitrary<string> => id.map((one) => `payouts/${one}${action}`);
const OTHER_METHODS = ['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const otherPath = fc.oneof(fc.constantFrom('payouts', 'notifications', 'balance', ''), urlText, of(''));
/** Every endpoint, and what is none. */
const endpoint = fc.oneof(
  { weight: 6, arbitrary: at('POST', fc.constant('payouts'), createBody) },
  { weight: 2, arbitrary: at('POST', of('/resolve'), resolveBody) },
  { weight: 2, arbitrary: at('POST', of('/refresh')) },
  { weight: 1, arbitrary: at('POST', of('/withdraw'), createBody) },
  { weight: 1, arbitrary: at('GET', of('')) },
  { weight: 1, arbitrary: at('GET', of('/events')) },
  {
    weight: 1,
    arbitrary: at(
      'GET',
      queryOf('order_id', 'status', 'limit', 'cursor').map((query) => `payouts?${query}`),
    ),
  },
  {
    weight: 1,
    arbitrary: at(
      'GET',
      queryOf('account').map((query) => `balance?${query}`),
    ),
  },
  {
    weight: 1,
    arbitrary: at(
      'GET',
      queryOf('account').map((query) => `account?${query}`),
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...OTHER_METHODS).chain((method) => at(method, otherPath)) },
);
/** A name of a token, or what somebody might try in its place. */
const stranger = fc.oneof(
  fc.constant({}),
  fc
    .constantFrom('Bearer ', 'Bearer x', 'Basic eDp4', TOKENS.all.text, `Bearer ${TOKENS.all.text}x`)
    .map((authorization) => ({ authorization })),
  fc.base64String().map((text) => ({ authorization: `Bearer ${text}` })),
);

/** A notification that is signed, as its parameters. */
const parametersOf = (changes: NotificationParameters): NotificationParameters => ({
  type: 'payout',
  id: waiting.provider_id,
  order_id: waiting.order_id,
  payment_status: 'paid',
  amount: '12.04',
  payment_amount: '12.04',
  commission_amount: '0.12',
  is_partial_payment: '0',
  account: RUB,
  service: 'qiwi_rub',
  desc: null,
  ...changes,
});
const field = fc.constantFrom(
  'type',
  'order_id',
  'payment_status',
  'amount',
  'payment_amount',
  'account',
  'service',
  'desc',
);
/** Turns a signed query into one that its signature does not belong to. */
const forgery = fc.oneof<fc.Arbitrary<(signed: string) => string>[]>(
  fc.tuple(field, anyText).map(([name, text]) => (signed) => {
    const forged = new URLSearchParams(signed);
    forged.set(name, forged.get(name) === text ? `${text}.` : text);
    return forged.toString();
  }),
  fc.uint8Array({ minLength: 250, maxLength: 260 }).map((bytes) => (signed) => {
    const forged = new URLSearchParams(signed);
    forged.set('sign', Buffer.from(bytes).toString('base64'));
    return forged.toString();
  }),
  fc.tuple(fc.nat(), urlText).map(
    ([at, text]) =>
      (signed) =>
        signed.slice(0, at % signed.length) + text,
  ),
  fc.constantFrom('type', 'id', 'order_id', 'sign', 'amount').map((name) => (signed) => `${signed}&${name}=1`),
  queryOf('type', 'id', 'order_id', 'payment_status', 'account', 'sign').map((query) => () => query),
);

it(
  'without a valid token no endpoint answers with a fault, and no row changes',
  async () => {
    const before = await host.rows();
    await fuzz(
      'strangers',
      0.15,
      fc.tuple(endpoint, stranger, someHeaders),
      async ([{ method, path, body }, token, headers]) => {
        const request = { method, path, headers: { ...headers, ...token }, body: body.text };
        const answer = await host.send(request);
        expectSound(answer, request, body);
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(await host.rows()).toBe(before);
      },
    );
  },
  HOUR_MS,
);

it(
  'a notification with a forged signature is refused, and no row changes',
  async () => {
    const before = await host.rows();
    const isForm = fc.boolean();
    await fuzz('forged notifications', 0.15, fc.tuple(forgery, isForm), async ([forge, byForm]) => {
      const query = forge(host.simulator.signedNotificationQuery(parametersOf({})));
      const form = {
        method: 'POST',
        path: 'notifications',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: query,
      };
      const request = byForm ? form : { method: 'GET', path: `notifications?${query}`, headers: {} };
      const answer = await host.send(request);
      expectSound(answer, request, { numbers: [] });
      expect([400, 403]).toContain(answer.status);
      expect(await host.rows()).toBe(before);
    });
  },
  HOUR_MS,
);

it(
  'a notification that is signed, whatever it says, is taken or refused',
  async () => {
    const changes = fc.dictionary(field, wellFormedText, { maxKeys: 3 });
    await fuzz('signed notifications', 0.05, changes, async (changed) => {
      const query = host.simulator.signedNotificationQuery(parametersOf(changed));
      const request = { method: 'GET', path: `notifications?${query}`, headers: {} };
      const answer = await host.send(request);
      expectSound(answer, request, { numbers: [] });
      expect([200, 400]).toContain(answer.status);
    });
  },
  HOUR_MS,
);

it(
  'with a valid token no endpoint answers with a fault, or with a number that was sent',
  async () => {
    await fuzz('callers', 0.2, fc.tuple(endpoint, someHeaders), async ([{ method, path, body }, headers]) => {
      const request = { method, path, headers: { ...headers, ...authorized('all') }, body: body.text };
      const answer = await host.send(request);
      expectSound(answer, request, body);
      if (answer.status === 201) ids = [...ids, (JSON.parse(answer.text) as { id: string }).id].slice(-50);
    });
  },
  HOUR_MS,
);
