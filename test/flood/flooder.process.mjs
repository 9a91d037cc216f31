import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';

/**
 * Sends forged notifications at a steady rate over keep-alive connections, one at a time on each: well-formed to the last
 * byte, with a signature of the right length, so that nothing cheaper than RSA tells them from genuine ones.
 * `processes.mjs` starts it and says `{ rate }`; 0 ends the flood, and is answered with what came back.
 */
const { port, path, account, connections } = JSON.parse(process.env.ALIKASSA_FLOOD_FLOODER ?? '{}');
const TICK_MS = 5;
const SIGNATURE_BYTES = 256;
const KINDS = 500;

const requests = Array.from({ length: KINDS }, (_, index) => {
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

const idle = [];
let open = 0;
let rate = 0;
let due = 0;
let startedAt = 0;
let sent = 0;
let statuses = {};

function connectOne() {
  open += 1;
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
  let text = '';
  socket.on('connect', () => idle.push(socket));
  socket.on('data', (chunk) => {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (head < 0 || text.length < head + 4 + length) return;
    const status = text.slice(9, 12);
    statuses[status] = (statuses[status] ?? 0) + 1;
    text = '';
    idle.push(socket);
  });
  // A reset counts as an answer that did not come.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (idle.includes(socket)) idle.splice(idle.indexOf(socket), 1);
    open -= 1;
  });
}

setInterval(() => {
  for (const wanted = ((performance.now() - startedAt) / 1_000) * rate; due < wanted; due += 1) {
    // Where none is idle the application holds its answers; then another connection is opened, as far as allowed.
    const socket = idle.pop();
    if (!socket) {
      if (open < connections) connectOne();
      continue;
    }
    socket.write(requests[sent % KINDS]);
    sent += 1;
  }
}, TICK_MS);

process.on('message', (message) => {
  if (message.rate === 0) process.send?.({ sent, statuses, seconds: (performance.now() - startedAt) / 1_000 });
  [rate, due, sent, statuses, startedAt] = [message.rate, 0, 0, {}, performance.now()];
});
process.on('disconnect', () => process.exit(1));
process.send?.('ready');
