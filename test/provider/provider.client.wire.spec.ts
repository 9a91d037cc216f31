import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { UnencodableError } from '../../src/alikassa.errors.js';
import { AliKassaClient } from '../../src/provider/provider.client.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { shown } from '../helpers/outcome.js';

const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const REQUEST = { amount: '500', number: '4111111111111111', order_id: 'A-1', service: 'payment_card_rub' };
const keys = JSON.parse(readFileSync('test/vectors/keys.json', 'utf8')) as Record<string, Record<string, string>>;
const key = keys['pkcs8-plain']!;
const signature = new SignatureProvider({ privateKey: key['private_pem']!, notificationPublicKey: key['public_pem']! });

let seen: { headers: IncomingHttpHeaders; body: string }[] = [];
let answer = '';
let isDropping = false;
const server = http.createServer((request, response) => {
  if (isDropping) return void request.socket.destroy();
  void request.toArray().then((chunks) => {
    seen.push({ headers: request.headers, body: Buffer.concat(chunks as Buffer[]).toString() });
    response.end(answer);
  });
});
let baseUrl = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  seen = [];
  isDropping = false;
  answer = '{"payment_status":"wait","id":1}';
});

const client = () => new AliKassaClient(signature, { baseUrl, timeoutMs: 1_000 });

it('asks for no compression, since a compressed answer is not read', async () => {
  await client().createPayout(ACCOUNT, REQUEST);
  expect(seen[0]?.headers).toMatchObject({ 'accept-encoding': 'identity', accept: '*/*' });
});

it('reads no answer above 256 KB, be it good otherwise', async () => {
  answer = `{"payment_status":"wait","id":1,"x":"${'y'.repeat(300_000)}"}`;
  expect((await client().createPayout(ACCOUNT, REQUEST)).kind).toBe('unclear');
});

it.each(['', 'abc', '-1', '1.0', '0x1', '99999999999999999999'])('asks for no status by the id %p', async (id) => {
  await expect(client().payoutStatus(ACCOUNT, { id })).rejects.toThrow(
    new UnencodableError("$.id: the provider's ids are integers; give decimal digits."),
  );
  expect(seen).toEqual([]);
});

it('lets no card number and no signature out in an outcome', async () => {
  isDropping = true;
  const request = await client().signPayout(ACCOUNT, JSON.stringify(REQUEST));
  const outcome = await client().submitPayout(request, REQUEST.order_id);
  expect(outcome.kind).toBe('unclear');
  expect(shown(outcome)).not.toContain('4111');
  expect(shown(outcome)).not.toContain(request.sign.slice(0, 20));
});
