import http, { type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { HttpService } from '@nestjs/axios';
import axios, { type AxiosRequestConfig, type AxiosResponse } from 'axios';
import { throwError, type Observable } from 'rxjs';
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

const client = (httpService = new HttpService()) =>
  new AliKassaClient(httpService, signature, { baseUrl, timeoutMs: 1_000 });

it('asks for no compression, since a compressed answer is not read', async () => {
  await client().createPayout(ACCOUNT, REQUEST);
  expect(seen[0]?.headers).toMatchObject({ 'accept-encoding': 'identity', accept: '*/*' });
});

it('sends the signed bytes also where the host rewrites the bodies of its own requests', async () => {
  const rewriting = axios.create({ transformRequest: [() => '{"rewritten":true}'] });
  await client(new HttpService(rewriting)).createPayout(ACCOUNT, REQUEST);
  expect(JSON.parse(seen[0]?.body ?? '')).toEqual(REQUEST);
});

it('sends over its own socket also where the host has another adapter: what may have been sent is never called unsent', async () => {
  isDropping = true;
  const { adapter } = axios.defaults;
  axios.defaults.adapter = 'fetch';
  const outcome = await client(new HttpService(axios.create()))
    .createPayout(ACCOUNT, REQUEST)
    .finally(() => (axios.defaults.adapter = adapter));
  expect(outcome).toMatchObject({ kind: 'unclear', phase: 'connected' });
});

/** A host's interceptor may throw anything. */
const throwing = (error: unknown): HttpService => {
  const http = axios.create();
  http.interceptors.request.use(() => Promise.reject(error));
  return new HttpService(http);
};

it.each<[string, unknown, string]>([
  ['the code of an error', Object.assign(new Error('4111'), { code: 'EHOST' }), 'EHOST'],
  ["rather its cause's", new Error('4111', { cause: Object.assign(new Error(), { code: 'ECAUSE' }) }), 'ECAUSE'],
  ['no code that is text', Object.assign(new Error(), { code: 'CARD 4111111111111111' }), 'network_error'],
  ['no code that ends in text', Object.assign(new Error(), { code: 'a card ECARD' }), 'network_error'],
  ['no code that is a number', Object.assign(new Error(), { code: '4111111111111111' }), 'network_error'],
  ['nothing of an error without a code', new Error('4111'), 'network_error'],
  ['nothing of what is no error', { code: 'EHOST' }, 'network_error'],
])('lets out %s', async (_, error, reason) => {
  const outcome = await client(throwing(error)).createPayout(ACCOUNT, REQUEST);
  expect(outcome).toMatchObject({ kind: 'never_sent', reason, phase: 'none' });
  expect(shown(outcome)).not.toContain('4111');
});

it('reads no answer above 256 KB, be it good otherwise', async () => {
  answer = `{"payment_status":"wait","id":1,"x":"${'y'.repeat(300_000)}"}`;
  expect((await client().createPayout(ACCOUNT, REQUEST)).kind).toBe('unclear');
});

it('lets nothing leave once it has called a request never sent', async () => {
  let late = Promise.resolve('');
  class Belated extends HttpService {
    override request<T>(config: AxiosRequestConfig): Observable<AxiosResponse<T>> {
      const agent = config.httpAgent as http.Agent;
      late = new Promise((resolve) => {
        setTimeout(() => {
          const request = http.request(`${baseUrl}/late`, { agent, method: 'POST' }, () => resolve('answered'));
          request.on('error', () => resolve('failed')).end('late');
        }, 20);
      });
      return throwError(() => new Error('failed before it had a socket'));
    }
  }
  expect((await client(new Belated()).createPayout(ACCOUNT, REQUEST)).kind).toBe('never_sent');
  expect([await late, seen]).toEqual(['failed', []]);
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
