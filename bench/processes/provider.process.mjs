import { createPrivateKey, createPublicKey, sign as cryptoSign, verify } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { phpJsonEncode } from '../../dist/src/provider/php-json.js';
import { answerMessages, now, readSetup } from './setup.mjs';

/**
 * The provider, as lean as it can be and still do its work: it verifies every request, answers after `latencyMs`, and
 * `settleAfterMs` later tells in a signed notification that the payout is paid, until it is acknowledged.
 */
const { keys, latencyMs, settleAfterMs } = readSetup();
const RETRY_MS = 200;
const RETRIES = 50;
const payoutKey = createPublicKey(keys.payout.publicKey);
const notificationKey = createPrivateKey(keys.notification.privateKey);
// On the thread pool, so that one signature does not hold up the answers to other requests.
const sign = promisify(cryptoSign);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** By order_id: `{ id, accepted, arrivedAt, isPaid, acknowledged }`. */
let payouts = new Map();
/** An id is given once, also by a provider that starts again beside payouts of the one before. */
let nextId = Date.now() * 1_000;
let paid = 0;
let faults = { badSignature: 0, refusedNotification: 0 };
let waiting;

function accept(request, body, arrivedAt) {
  if (!verify('sha1', body, payoutKey, Buffer.from(request.headers.sign ?? '', 'base64'))) {
    faults.badSignature += 1;
    return [401, { message: 'Unauthorized' }];
  }
  const order = JSON.parse(body.toString());
  if (request.url === '/v1/payout/status') return statusOf(order);
  if (request.url !== '/v1/payout') return [404, { message: 'Not found' }];
  const known = payouts.get(order.order_id);
  const payout = known ?? { ...order, id: nextId++, accepted: 0, arrivedAt, account: request.headers.account };
  payout.accepted += 1;
  payouts.set(order.order_id, payout);
  if (!known) setTimeout(() => void pay(payout), latencyMs + settleAfterMs);
  return [200, { payment_status: 'wait', id: payout.id }];
}

function statusOf({ id, order_id }) {
  const payout = order_id ? payouts.get(order_id) : [...payouts.values()].find((one) => one.id === id);
  if (!payout) return [400, { message: 'The given data was invalid.', errors: { order_id: ['unknown'] } }];
  const status = payout.isPaid ? 'paid' : 'wait';
  return [200, { payment_status: status, id: payout.id, order_id: payout.order_id, amount: payout.amount }];
}

async function pay(payout) {
  payout.isPaid = true;
  const target = `${payout.notification_endpoint_url}?${await signedQuery(payout)}`;
  for (let attempt = 0; attempt <= RETRIES; attempt += 1) {
    const status = await get(target);
    if (status === 200) break;
    faults.refusedNotification += 1;
    await sleep(RETRY_MS);
  }
  payout.acknowledged = now();
  paid += 1;
  if (waiting && paid >= waiting.count) waiting.resolve();
}

/** In the order that is signed (the provider's documents). */
async function signedQuery({ id, order_id, amount, account, service }) {
  const fields = { type: 'payout', id, order_id, payment_status: 'paid', amount, payment_amount: amount };
  Object.assign(fields, { commission_amount: '0.12', is_partial_payment: '0', account, service, desc: null });
  const signature = await sign('sha1', Buffer.from(phpJsonEncode(fields)), notificationKey);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== null) query.set(name, String(value));
  query.set('sign', signature.toString('base64'));
  return query.toString();
}

/** @returns the HTTP status, 0 where nobody answered. */
function get(url) {
  return new Promise((resolve) => {
    http
      .get(url, { agent }, (response) => response.resume().on('end', () => resolve(response.statusCode)))
      .on('error', () => resolve(0));
  });
}

async function reply(request, response, body) {
  const arrivedAt = performance.timeOrigin + performance.now();
  const [status, answer] = accept(request, body, arrivedAt);
  if (latencyMs > 0) await sleep(latencyMs);
  const text = JSON.stringify(answer);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
}

/** Answered once so many payouts were acknowledged, or when the time is over. */
async function report({ until, timeoutMs }) {
  const enough = new Promise((resolve) => (waiting = { count: until, resolve }));
  if (paid < until) await Promise.race([enough, sleep(timeoutMs, undefined, { ref: false })]);
  waiting = undefined;
  const all = [...payouts.values()];
  return {
    paid,
    received: all.length,
    acceptedTwice: all.filter(({ accepted }) => accepted > 1).length,
    lastAt: Math.max(0, ...all.map(({ acknowledged }) => acknowledged ?? 0)),
    ...faults,
  };
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => void reply(request, response, Buffer.concat(chunks)));
});
server.keepAliveTimeout = 60_000;
await new Promise((resolve) => server.listen(0, '127.0.0.1', 1_024, resolve));

answerMessages((message) => {
  if (message.until !== undefined) return report(message);
  if (message.arrivals) return Object.fromEntries([...payouts.values()].map((one) => [one.order_id, one.arrivedAt]));
  [payouts, paid, faults] = [new Map(), 0, { badSignature: 0, refusedNotification: 0 }];
  return 'reset';
});
process.send({ url: `http://127.0.0.1:${server.address().port}` });
