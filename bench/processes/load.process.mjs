import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { answerMessages, now, readSetup } from './setup.mjs';

/** Sends requests over keep-alive connections with autocannon; the same program for both sides. */
const { token, account } = readSetup();
const ORDER = { account, amount: '12.00', number: '79005554455', service: 'qiwi_rub' };

/** What one request of each kind is: the bench's messages name it. */
const KINDS = {
  /** A payout of its own each time. */
  create: () => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const setupRequest = (request) => ({ ...request, body: JSON.stringify({ ...ORDER, order_id: randomUUID() }) });
    return { method: 'POST', headers, setupRequest };
  },
  /** Each of the given queries once. */
  notify: ({ url, queries }) => {
    const { pathname } = new URL(url);
    let next = 0;
    return { method: 'GET', setupRequest: (request) => ({ ...request, path: `${pathname}?${queries[next++]}` }) };
  },
  read: () => ({ method: 'GET', headers: { authorization: `Bearer ${token}` } }),
};

/** @returns counts, and the moment of the first request. */
async function run(message) {
  const { kind, url, connections, amount, seconds } = message;
  const startedAt = now();
  let lastAt = startedAt;
  const running = autocannon({
    url,
    connections,
    ...(amount ? { amount } : { duration: seconds }),
    timeout: 60,
    requests: [KINDS[kind](message)],
  });
  // autocannon sees its own end only at the next full second.
  running.on('response', () => (lastAt = now()));
  const result = await running;
  return {
    startedAt,
    ok: result['2xx'],
    failed: result.non2xx + result.errors + result.timeouts,
    perSecond: result['2xx'] / ((lastAt - startedAt) / 1_000),
    statuses: result.statusCodeStats,
  };
}

answerMessages(async (message) => Promise.all((message.all ?? [message]).map((one) => run(one))));
process.send('ready');
