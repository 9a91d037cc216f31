import { Random } from './random.mjs';

export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
/** The longest that a request may lie at the provider before it is recorded: longer than the client waits for it. */
export const LATE_MS = 3_000;

const json = { 'content-type': 'application/json' };

/** What becomes of a payout at the provider, by the cents of its amount (`rulesByAmount` of the simulator). */
const FATES = [
  [78, '00'],
  [5, '01'],
  [4, '02'],
  [4, '03'],
  [3, '04'],
  [3, '05'],
  [3, '06'],
];

/** What goes wrong with the one request that submits a payout; null is nothing. */
const SUBMISSION_FAULTS = [
  [58, () => null],
  [6, () => ({ drop: 'after' })],
  [4, () => ({ answer: { status: 500 } })],
  [4, (random) => ({ accept: false, answer: { status: random.pick([500, 502, 503, 504]) } })],
  [4, () => ({ drop: 'before' })],
  [3, (random) => ({ delayMs: random.between(100, 1_200) })],
  [3, (random) => ({ delayMs: random.between(2_000, LATE_MS) })],
  [2, () => ({ stall: true })],
  [1, () => ({ raw: 'HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"payment_' })],
  [1, () => ({ answer: { status: 200, headers: json, body: '{"payment_status":"wait"' } })],
  [1, () => ({ answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>busy</html>' } })],
  [3, () => ({ notification: 'early' })],
  [3, () => ({ notification: 'duplicate' })],
  [3, () => ({ notification: 'lost' })],
  [3, () => ({ notification: 'forged' })],
  [0.4, () => ({ accept: false, answer: { status: 429, headers: { 'retry-after': '1' } } })],
  [0.2, () => ({ accept: false, answer: { status: 401, headers: json, body: '{"message":"Unauthorized"}' } })],
];

const STATUS_FAULTS = [
  [84, () => null],
  [5, () => ({ answer: { status: 500 }, times: 2 })],
  [3, () => ({ drop: 'before' })],
  [2, () => ({ drop: 'after' })],
  [2, () => ({ stall: true })],
  [2, () => ({ answer: { status: 200, headers: json, body: '[]' } })],
  [1.5, () => ({ answer: { status: 429, headers: { 'retry-after': '1' } } })],
  [0.5, () => ({ answer: { status: 401, headers: json, body: '{"message":"Unauthorized"}' } })],
];

/**
 * The orders of a run and what goes wrong with each at the provider; the same for the same seed.
 * @param {string} seed
 * @param {number} count
 */
export function planOrders(seed, count) {
  const random = new Random(`${seed} orders`);
  return Array.from({ length: count }, (_, index) => {
    const orderId = `chaos-${seed}-${index + 1}`;
    const amount = `${random.between(1, 40)}.${random.weighted(FATES)}`;
    const faults = [
      ['payout', random.weighted(SUBMISSION_FAULTS)(random)],
      ['status', random.weighted(STATUS_FAULTS)(random)],
    ].flatMap(([on, fault]) => (fault ? [{ on, orderId, ...fault }] : []));
    return {
      orderId,
      /** Created by two clients at once, at both processes. */
      isTwice: random.chance(0.15),
      body: { account: ACCOUNT, amount, number: '79005554455', order_id: orderId, service: 'qiwi_rub' },
      faults,
    };
  });
}
