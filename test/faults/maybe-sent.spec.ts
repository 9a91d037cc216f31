import { gzipSync } from 'node:zlib';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import type { RequestFault } from '../../src/testing/index.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { certificate } from '../helpers/certificate.js';
import { payload } from '../helpers/payload.js';
import { decideNow } from '../helpers/people.js';
import { until } from '../helpers/until.js';

const TIMEOUT_MS = 700;
const GOOD = '{"payment_status":"wait","id":100001524}';
const http = (head: string, body: string | Buffer = ''): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 ${head}\r\n\r\n`), Buffer.from(body)]);

/** Each over plain http and over TLS, and each with and without the provider having recorded the payout. */
interface Scheme {
  scheme: 'http' | 'https';
  phase: string;
  surroundings?: TestSurroundings;
  host?: TestApplication;
}
const schemes: Scheme[] = [
  { scheme: 'http', phase: 'connected' },
  { scheme: 'https', phase: 'secured' },
];
const tls = certificate();

beforeAll(async () => {
  for (const one of schemes) {
    const isTls = one.scheme === 'https';
    one.surroundings = await prepare({
      simulator: isTls ? { tls } : {},
      options: { timeoutMs: TIMEOUT_MS, leaseMs: 10_000, checkSchedule: [400], ...(isTls ? { ca: tls.cert } : {}) },
    });
    one.host = await startApplication({ surroundings: one.surroundings, port: one.surroundings.port });
  }
});
afterAll(async () => {
  for (const { host, surroundings } of schemes) {
    await host?.stop();
    await surroundings?.stop();
  }
});

interface Case {
  /** What becomes of the answer. */
  answer?: Partial<RequestFault>;
  reason: RegExp;
}

it.each<[string, Case]>([
  ['20: silence -> unknown within the deadline', { answer: { stall: true }, reason: /^deadline$/ }],
  ['21: RST after the body -> unknown', { answer: { drop: 'after' }, reason: /^ECONNRESET$/ }],
  ['22: FIN without an answer -> unknown', { answer: { raw: '' }, reason: /^ECONNRESET$/ }],
  ['24: half a status line -> unknown', { answer: { raw: 'HTTP/1.1 20' }, reason: /^(?:HPE_|ECONNRESET)/ }],
  [
    '25: FIN in the body -> unknown',
    {
      answer: { raw: http('200 OK\r\ncontent-length: 40', GOOD.slice(0, 20)) },
      reason: /^(?:ECONNRESET|ERR_BAD_RESPONSE)$/,
    },
  ],
  [
    '26: RST in the body -> unknown',
    {
      answer: { raw: http('200 OK\r\ncontent-length: 40', GOOD.slice(0, 20)), send: { end: 'reset' } },
      reason: /^(?:ECONNRESET|ERR_BAD_RESPONSE)$/,
    },
  ],
  [
    '27: body stalls -> unknown within the deadline',
    {
      answer: { raw: http('200 OK\r\ncontent-length: 40', GOOD.slice(0, 20)), send: { end: 'stall' } },
      reason: /^deadline$/,
    },
  ],
  [
    '28: body drips a byte at a time past the deadline -> unknown within the deadline',
    { answer: { raw: http('200 OK\r\ncontent-length: 40', GOOD), send: { dripMs: 20 } }, reason: /^deadline$/ },
  ],
  ['29: garbage instead of HTTP -> unknown', { answer: { raw: '\u0000\u0001garbage\r\n\r\n' }, reason: /^HPE_/ }],
  [
    '30: huge headers -> unknown',
    { answer: { raw: http(`200 OK\r\nx: ${'y'.repeat(70_000)}`, GOOD) }, reason: /^HPE_HEADER_OVERFLOW$/ },
  ],
  [
    '31: Transfer-Encoding with Content-Length -> unknown',
    {
      answer: { raw: http('200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 40', `28\r\n${GOOD}\r\n0\r\n\r\n`) },
      reason: /^HPE_/,
    },
  ],
  [
    '32: bad chunk -> unknown',
    {
      answer: { raw: http('200 OK\r\ntransfer-encoding: chunked', `zz\r\n${GOOD}\r\n0\r\n\r\n`) },
      reason: /^HPE_INVALID_CHUNK_SIZE$/,
    },
  ],
  [
    '33: bad gzip -> unknown',
    {
      answer: { answer: { status: 200, headers: { 'content-encoding': 'gzip' }, body: 'not gzip' } },
      reason: /^encoded_answer$/,
    },
  ],
  [
    '34: compression bomb -> unknown',
    {
      answer: {
        answer: { status: 200, headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(50_000_000, ' ')) },
      },
      reason: /^encoded_answer$/,
    },
  ],
  [
    '35: answer 101 -> unknown',
    {
      answer: { raw: http('101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade'), send: { end: 'stall' } },
      reason: /./,
    },
  ],
])('%s', async (name, { answer, reason }) => {
  const run = async (one: Scheme, accept: boolean): Promise<void> => {
    const { simulator } = one.surroundings!;
    const host = one.host!;
    const order_id = `${name.slice(0, 2)}-${accept}`;
    simulator.script({ on: 'payout', orderId: order_id, accept, notification: 'lost', ...answer });
    const startedAt = performance.now();
    const { body } = await host.http().post('/alikassa/payouts').send(payload({ order_id }));
    const { id } = body as PayoutDto;
    await until(async () => !['queued', 'sending'].includes((await host.payouts.find(id)).status));
    // The deadline bounds the attempt, however slowly the provider drips; the rest is this machine's.
    expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS + 5_000);
    const submission = (await host.payouts.events(id)).find(({ type }) => type === 'submission');
    expect(submission).toMatchObject({
      fromStatus: 'sending',
      toStatus: 'unknown',
      detail: { outcome: 'unclear', phase: one.phase, reason: expect.stringMatching(reason) as string },
    });
    // Then the true state: what was recorded is found, what was not is never sent again by itself.
    if (accept) await host.until(id, 'paid');
    else await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
    expect((await host.payouts.find(id)).status).toBe(accept ? 'paid' : 'unknown');
    expect([simulator.accepted(order_id), (await host.payouts.find(id)).attempt]).toEqual([accept ? 1 : 0, 1]);
    // So that no status call of it meets the faults of the next test.
    if (!accept) await decideNow(host.payouts, id, { outcome: 'fail', reason: 'the test is over' });
  };
  const runs = schemes.flatMap((one) => [run(one, true), run(one, false)]);
  await Promise.all(runs);
});
