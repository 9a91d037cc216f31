import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { AliKassaClient } from '../../src/provider/provider.client.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { shown } from '../helpers/outcome.js';

const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const REQUEST = { amount: '500', number: '4111111111111111', order_id: 'заказ/1', service: 'payment_card_rub' };
const keys = JSON.parse(readFileSync('test/vectors/keys.json', 'utf8')) as Record<string, Record<string, string>>;
const key = keys['pkcs8-plain']!;
const signature = new SignatureProvider({ privateKey: key['private_pem']!, notificationPublicKey: key['public_pem']! });
const folder = mkdtempSync(join(tmpdir(), 'alikassa-tls-'));
const servers: net.Server[] = [];
const sockets = new Set<Socket>();

const client = (baseUrl: string, timeoutMs = 1_000, ca?: string) =>
  new AliKassaClient(signature, { baseUrl, timeoutMs, ca });

async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** An HTTP server; counts what reaches it. */
async function answering(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: { call: string; headers: http.IncomingHttpHeaders; body: Buffer }[] = [];
  const port = await listen(
    http.createServer((request, response) => {
      void request.toArray().then((chunks) => {
        seen.push({
          call: `${request.method} ${request.url}`,
          headers: request.headers,
          body: Buffer.concat(chunks as Buffer[]),
        });
        answer(request, response);
      });
    }),
  );
  return { url: `http://127.0.0.1:${port}`, seen };
}

/** A TCP server that does what it is told once the request has arrived. */
async function speaking(react: (socket: Socket) => void): Promise<string> {
  const port = await listen(
    net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => react(socket));
    }),
  );
  return `http://127.0.0.1:${port}`;
}

function certificate(name: string, options: string[] = []): { key: string; cert: string } {
  const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const command = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', [...command, ...(options.length > 0 ? options : subject)], { stdio: 'ignore' });
  return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
}

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true });
});

describe('what is sent', () => {
  it('is the signed bytes, under the documented headers, once', async () => {
    const server = await answering((_, response) => response.end('{"payment_status":"wait","id":9007199254740993}'));
    const outcome = await client(server.url).createPayout(ACCOUNT, REQUEST);
    expect(outcome).toMatchObject({ kind: 'ok', value: { id: '9007199254740993', payment_status: 'wait' } });
    expect(server.seen).toHaveLength(1);
    const { call, headers, body } = server.seen[0]!;
    expect(call).toBe('POST /v1/payout');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      account: ACCOUNT,
      'user-agent': 'AliKassa2.0 API',
    });
    expect(body.toString()).toBe(
      '{"amount":"500","number":"4111111111111111","order_id":"\\u0437\\u0430\\u043a\\u0430\\u0437\\/1","service":"payment_card_rub"}',
    );
    const sign = Buffer.from(String(headers['sign']), 'base64');
    expect(verify('sha1', body, createPublicKey(key['public_pem']!), sign)).toBe(true);
  });

  it('asks for balance and account with an empty list', async () => {
    const said = { currency: 'RUB', balance: '1.00', is_allowed_payment: true, is_allowed_payout: false };
    const server = await answering((_, response) => response.end(JSON.stringify(said)));
    expect(await client(server.url).balance(ACCOUNT)).toMatchObject({
      kind: 'ok',
      value: { currency: 'RUB', balance: '1.00' },
    });
    expect(await client(server.url).accountInfo(ACCOUNT)).toMatchObject({
      kind: 'ok',
      value: { is_allowed_payment: true, is_allowed_payout: false },
    });
    expect(server.seen.map(({ call, body }) => [call, body.toString()])).toEqual([
      ['POST /v1/account/balance', '[]'],
      ['POST /v1/account/info', '[]'],
    ]);
  });

  it('asks for the status by the order_id', async () => {
    const server = await answering((_, response) => response.end('{}'));
    await client(server.url).payoutStatus(ACCOUNT, { order_id: 'A/1' });
    expect(server.seen.map(({ call, body }) => [call, body.toString()])).toEqual([
      ['POST /v1/payout/status', '{"order_id":"A\\/1"}'],
    ]);
  });

  it('asks for the status by an id that keeps every digit', async () => {
    const server = await answering((_, response) => response.end('{}'));
    await client(server.url).payoutStatus(ACCOUNT, { id: '9223372036854775807' });
    expect(server.seen[0]?.body.toString()).toBe('{"id":9223372036854775807}');
  });

  it.each([301, 302, 307, 308])('does not follow a %i, which would carry the card number elsewhere', async (status) => {
    const elsewhere = await answering((_, response) => response.end('{}'));
    const server = await answering((_, response) => response.writeHead(status, { location: elsewhere.url }).end());
    expect(await client(server.url).createPayout(ACCOUNT, REQUEST)).toMatchObject({ kind: 'unclear' });
    expect(elsewhere.seen).toEqual([]);
  });

  it('does not pass through a proxy of the environment', async () => {
    const proxy = await answering((_, response) => response.end('{}'));
    const server = await answering((_, response) => response.end('{}'));
    process.env['http_proxy'] = proxy.url;
    await client(server.url).balance(ACCOUNT);
    delete process.env['http_proxy'];
    expect([proxy.seen.length, server.seen.length]).toEqual([0, 1]);
  });
});

describe('proven never sent', () => {
  it('a refused connection', async () => {
    const port = await listen(net.createServer());
    await new Promise((resolve) => servers.pop()!.close(resolve));
    const outcome = await client(`http://127.0.0.1:${port}`).createPayout(ACCOUNT, REQUEST);
    expect(outcome).toMatchObject({ kind: 'never_sent', reason: 'ECONNREFUSED', phase: 'none' });
  });

  it('a name that does not resolve', async () => {
    const outcome = await client('https://no-such-host.invalid', 5_000).createPayout(ACCOUNT, REQUEST);
    expect(outcome).toMatchObject({ kind: 'never_sent', phase: 'none' });
  });

  it('a handshake that stalls, is reset or is ended', async () => {
    for (const end of [() => undefined, (s: Socket) => s.resetAndDestroy(), (s: Socket) => s.end()]) {
      const url = (await speaking(end)).replace('http:', 'https:');
      const outcome = await client(url, 300).createPayout(ACCOUNT, REQUEST);
      expect(outcome).toMatchObject({ kind: 'never_sent', phase: 'connected' });
    }
  });

  it.each([
    ['self-signed', []],
    ['for another name', ['-subj', '/CN=other', '-addext', 'subjectAltName=DNS:other.example']],
  ])('a certificate that is %s, and no byte of the request arrives', async (name, options) => {
    const tls = certificate(name.replace(/\W/g, ''), options);
    let requests = 0;
    const port = await listen(https.createServer(tls, () => (requests += 1)));
    const ca = name === 'self-signed' ? undefined : tls.cert;
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    const outcome = await client(`https://127.0.0.1:${port}`, 1_000, ca).createPayout(ACCOUNT, REQUEST);
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    expect([outcome.kind, requests]).toEqual(['never_sent', 0]);
  });
});

describe('maybe sent, so unclear', () => {
  const head = 'HTTP/1.1 200 OK\r\n';
  const body = '{"payment_status":"wait","id":1}';

  it.each<[string, (socket: Socket) => void]>([
    ['silence', () => undefined],
    ['a reset', (socket) => socket.resetAndDestroy()],
    ['an end without an answer', (socket) => socket.end()],
    ['half a status line', (socket) => socket.end('HTTP/1.1 2')],
    ['an end in the body', (socket) => socket.end(`${head}Content-Length: 100\r\n\r\n${body}`)],
    ['a body that stalls', (socket) => socket.write(`${head}Content-Length: 100\r\n\r\n${body}`)],
    ['garbage', (socket) => socket.end('\u0000\u0001\u0002 no http\r\n\r\n')],
    ['huge headers', (socket) => socket.end(`${head}X: ${'x'.repeat(100_000)}\r\n\r\n${body}`)],
    ['two lengths', (socket) => socket.end(`${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${body}`)],
    ['a bad chunk', (socket) => socket.end(`${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n${body}`)],
    ['an answer of 101', (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')],
    ['a huge body', (socket) => socket.end(`${head}\r\n"${'x'.repeat(400_000)}"`)],
  ])('%s', async (_, react) => {
    const outcome = await client(await speaking(react), 400).createPayout(ACCOUNT, REQUEST);
    expect(outcome.kind).toBe('unclear');
    expect(outcome.durationMs).toBeLessThan(1_500);
  });

  it('a body that drips past the deadline', async () => {
    const url = await speaking((socket) => {
      socket.write(`${head}Content-Length: 1000\r\n\r\n`);
      const drip = setInterval(() => socket.write(' '), 50);
      socket.once('close', () => clearInterval(drip));
    });
    expect(await client(url, 400).createPayout(ACCOUNT, REQUEST)).toMatchObject({
      kind: 'unclear',
      reason: 'deadline',
    });
  });

  it('a reset right after the TLS handshake', async () => {
    const tls = certificate('good');
    const server = https.createServer(tls);
    server.on('secureConnection', (socket: Socket) => socket.destroy());
    const port = await listen(server);
    const outcome = await client(`https://127.0.0.1:${port}`, 1_000, tls.cert).createPayout(ACCOUNT, REQUEST);
    expect(outcome).toMatchObject({ kind: 'unclear', phase: 'secured' });
  });
});

describe('an answered create', () => {
  const ok = '{"payment_status":"wait","id":1}';
  const documented = JSON.stringify({
    message: 'The given data was invalid.',
    errors: { number: ['4111111111111111 is bad'] },
  });

  it.each<[string, number, Record<string, string>, string | Buffer, string]>([
    ['200 with an empty body', 200, {}, '', 'unclear'],
    ['200 HTML', 200, {}, '<html></html>', 'unclear'],
    ['200 with truncated JSON', 200, {}, '{"payment_status":"wait","id":1', 'unclear'],
    ['200 with a list', 200, {}, '[]', 'unclear'],
    ['200 with null', 200, {}, 'null', 'unclear'],
    ['200 without an id', 200, {}, '{"payment_status":"wait"}', 'unclear'],
    [
      '200 that is not UTF-8',
      200,
      {},
      Buffer.from('{"payment_status":"wait","id":1,"x":"\u00ff"}', 'latin1'),
      'unclear',
    ],
    ['200 with an unknown status', 200, {}, '{"payment_status":"new","id":1}', 'unclear'],
    ['200 for another order', 200, {}, '{"payment_status":"wait","id":1,"order_id":"2"}', 'unclear'],
    ['200 in bad gzip', 200, { 'content-encoding': 'gzip' }, 'x', 'unclear'],
    ['200 in good gzip, which nobody asked for', 200, { 'content-encoding': 'gzip' }, gzipSync(ok), 'unclear'],
    ['201', 201, {}, ok, 'unclear'],
    ['204', 204, {}, '', 'unclear'],
    ['400 that is not the documented one', 400, {}, '{"message":"no"}', 'unclear'],
    ['the documented 400', 400, {}, documented, 'refused'],
    ['401', 401, {}, '', 'unauthorized'],
    ['403', 403, {}, '', 'unauthorized'],
    ['404', 404, {}, '', 'unclear'],
    ['409', 409, {}, '', 'unclear'],
    ['422', 422, {}, documented, 'unclear'],
    ['429', 429, { 'retry-after': '7' }, '', 'rate_limited'],
    ['500', 500, {}, ok, 'unclear'],
    ['502', 502, {}, '', 'unclear'],
    ['503', 503, {}, '', 'unclear'],
    ['504', 504, {}, '', 'unclear'],
    ['200 as documented', 200, {}, ok, 'ok'],
  ])('%s', async (_, status, headers, text, kind) => {
    const server = await answering((__, response) => response.writeHead(status, headers).end(text));
    const outcome = await client(server.url).createPayout(ACCOUNT, REQUEST);
    expect(outcome).toMatchObject({ kind, httpStatus: status });
    expect(shown(outcome)).not.toContain('4111');
  });
});

describe('Retry-After', () => {
  it.each([
    ['7', 7_000],
    ['999999', 3_600_000],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
    ['soon', undefined],
  ])('of %p is waited for, an hour at most', async (value, retryAfterMs) => {
    const server = await answering((_, response) => response.writeHead(429, { 'retry-after': value }).end());
    expect(await client(server.url).createPayout(ACCOUNT, REQUEST)).toMatchObject({
      kind: 'rate_limited',
      retryAfterMs,
    });
  });
});

describe('an answered status call', () => {
  const answer = { payment_status: 'paid', id: 7, order_id: 'A', amount: '300.00', is_partial_payment: false };
  const ask = async (status: number, value: object | string) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const server = await answering((_, response) => response.writeHead(status).end(text));
    return client(server.url).payoutStatus(ACCOUNT, { order_id: 'A' });
  };

  it('reads numbers where strings were, and the reverse, alike', async () => {
    const one = await ask(200, answer);
    const two = await ask(200, { ...answer, id: '7', amount: 300, is_partial_payment: 0, payment_amount: 300.5 });
    expect(one).toMatchObject({ kind: 'ok', value: { id: '7', amount: '300.00', is_partial_payment: false } });
    expect(two).toMatchObject({
      value: { id: '7', amount: '300', payment_amount: '300.5', is_partial_payment: false },
    });
  });

  it.each([
    ['404', 404, '', 'unclear'],
    ['404 that names order_id', 404, { message: 'm', errors: { order_id: ['x'] } }, 'not_found'],
    ['400 that names order_id', 400, { message: 'm', errors: { order_id: ['x'] } }, 'not_found'],
    ['400 that names id', 400, { message: 'm', errors: { id: ['x'] } }, 'not_found'],
    ['400 that names something else', 400, { message: 'm', errors: { sign: ['x'] } }, 'unclear'],
    ['200 with an amount that cannot be read', 200, { ...answer, amount: '3e2' }, 'unclear'],
    ['200 without order_id', 200, { ...answer, order_id: null }, 'unclear'],
    ['500', 500, '', 'unclear'],
  ])('%s: says what it says and no more', async (_, status, value, kind) => {
    expect((await ask(status, value)).kind).toBe(kind);
  });
});
