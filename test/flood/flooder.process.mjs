import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';

/**
 * Sends forged notifications at a steady rate over keep-alive connections, one request at a time on each: well-formed to
 * the last byte, with a signature of the right length, so that nothing cheaper than RSA tells them from genuine ones.
 * The parent says `{ rate }`; 0 stops and answers with what came back.
 */
const { port, path, account, connections } = JSON.parse(process.env.FLOOD_FLOODER ?? '{}');
const TICK_MS = 5;
const SIGNATURE_BYTES = 256;
const POOL = 500;

const requests = Array.from({ length: POOL }, (_, index) => {
  const signature = randomBytes(SIGNATURE_BYTES);
  // Below the modulus, as a genuine one is: OpenSSL refuses any other before it computes.
  signature[0] = 0;
  const query = new URLSearchParams({
    type: 'payout',
    id: String(100_000_000 + index),
    order_id: randomUUID(),
    payment_status: 'paid',
    amount: '12.00',
    payment_amount: '12.00',
    is_partial_payment: '0',
    account,
    service: 'qiwi_rub',
    sign: signature.toString('base64'),
  });
  return `GET ${path}?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
});

let rate = 0;
let due = 0;
let startedAt = 0;
let tally = newTally();
const idle = [];

function newTally() {
  return { sent: 0, unsent: 0, statuses: {}, errors: 0, totalMs: 0 };
}

function open() {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let sentAt = 0;
  let text = '';
  socket.setEncoding('latin1');
  const line = {
    send: () => {
      sentAt = performance.now();
      tally.sent += 1;
      socket.write(requests[tally.sent % POOL]);
    },
  };
  socket.on('connect', () => idle.push(line));
  socket.on('data', (chunk) => {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (text.length < head + 4 + length) return;
    const status = text.slice(9, 12);
    tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
    tally.totalMs += performance.now() - sentAt;
    const isLast = /connection: close/i.test(text);
    text = '';
    if (!isLast) idle.push(line);
  });
  socket.on('error', () => (tally.errors += 1));
  socket.on('close', () => {
    const at = idle.indexOf(line);
    if (at >= 0) idle.splice(at, 1);
    open();
  });
}

for (let n = 0; n < connections; n += 1) open();

setInterval(() => {
  if (rate === 0) return;
  const wanted = ((performance.now() - startedAt) / 1_000) * rate;
  while (due < wanted) {
    due += 1;
    const line = idle.pop();
    if (line) line.send();
    else tally.unsent += 1;
  }
}, TICK_MS);

process.on('message', (message) => {
  rate = message.rate;
  due = 0;
  startedAt = performance.now();
  if (rate === 0) process.send?.({ ...tally, cpu: process.cpuUsage() });
  else tally = newTally();
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
