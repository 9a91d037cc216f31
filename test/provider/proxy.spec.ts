import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { AliKassaClient } from '../../src/provider/provider.client.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { freePort } from '../../src/app/free.port.js';
import { certificate } from '../helpers/certificate.js';
import { shown } from '../helpers/outcome.js';

const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const REQUEST = { amount: '500', number: '4111111111111111', order_id: 'A-1', service: 'payment_card_rub' };
const keys = JSON.parse(readFileSync('test/vectors/keys.json', 'utf8')) as Record<string, Record<string, string>>;
const key = keys['pkcs8-plain']!;
const signature = new SignatureProvider({ privateKey: key['private_pem']!, notificationPublicKey: key['public_pem']! });
const tls = certificate();
const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
let provider = '';
/** Requests that reached the provider. */
let seen = 0;

async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const answer: http.RequestListener = (_, response) => {
    seen += 1;
    response.end('{"payment_status":"wait","id":1}');
  };
  provider = `https://127.0.0.1:${await listen(https.createServer(tls, answer))}`;
});
beforeEach(() => (seen = 0));
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

const send = async (proxy: string, baseUrl = provider, timeoutMs = 3_000) =>
  new AliKassaClient(signature, { baseUrl, proxy, timeoutMs, ca: tls.cert }).createPayout(ACCOUNT, REQUEST);

interface Asked {
  method?: string;
  url?: string;
  headers: http.IncomingHttpHeaders;
}

/** A proxy that works; over TLS if it is given a server of it. */
async function working(server: http.Server = http.createServer()): Promise<{ port: number; asked: Asked[] }> {
  const asked: Asked[] = [];
  server.on('connect', (request: http.IncomingMessage, client: net.Socket, head: Buffer) => {
    asked.push({ method: request.method, url: request.url, headers: request.headers });
    const [, host = '', port] = /^\[?(.+?)\]?:(\d+)$/.exec(request.url ?? '') ?? [];
    const upstream = net.connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    sockets.add(upstream.on('error', () => client.destroy()));
    client.on('error', () => upstream.destroy());
  });
  return { port: await listen(server), asked };
}

/** A proxy that does what it is told once something has been said to it. */
async function speaking(react: (socket: net.Socket, first: Buffer) => void): Promise<string> {
  const port = await listen(net.createServer((socket) => void socket.once('data', (first) => react(socket, first))));
  return `http://user:secret@127.0.0.1:${port}`;
}

describe('through a proxy', () => {
  it('a request goes by CONNECT, with the credentials as they are meant, once', async () => {
    const { port, asked } = await working();
    expect(await send(`http://us%40er:p%3A%25ss@127.0.0.1:${port}`)).toMatchObject({ kind: 'ok', phase: 'secured' });
    const authority = new URL(provider).host;
    expect(asked).toEqual([
      {
        method: 'CONNECT',
        url: authority,
        headers: expect.objectContaining({
          host: authority,
          'proxy-authorization': `Basic ${Buffer.from('us@er:p:%ss').toString('base64')}`,
        }) as unknown,
      },
    ]);
    expect(seen).toBe(1);
  });

  it('none are sent where none are given', async () => {
    const { port, asked } = await working();
    await send(`http://127.0.0.1:${port}`);
    expect(asked[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('plain http, of a loopback address, is tunnelled too', async () => {
    const port = await listen(http.createServer((_, response) => response.end('{"payment_status":"wait","id":1}')));
    const proxy = await working();
    expect((await send(`http://127.0.0.1:${proxy.port}`, `http://127.0.0.1:${port}`)).kind).toBe('ok');
    expect(proxy.asked).toMatchObject([{ method: 'CONNECT', url: `127.0.0.1:${port}` }]);
  });

  it('an IPv6 address keeps its brackets, and a port that is not named is 443', async () => {
    const { port, asked } = await working();
    await send(`http://127.0.0.1:${port}`, 'https://[::1]');
    expect(asked[0]?.url).toBe('[::1]:443');
  });

  it('that speaks TLS itself', async () => {
    const { port, asked } = await working(https.createServer(tls));
    expect((await send(`https://user:secret@127.0.0.1:${port}`)).kind).toBe('ok');
    expect([asked.length, seen]).toEqual([1, 1]);
  });

  it('that speaks TLS with a certificate nobody trusts: proven never sent', async () => {
    const { port, asked } = await working(https.createServer(certificate()));
    expect(await send(`https://127.0.0.1:${port}`)).toMatchObject({
      kind: 'never_sent',
      reason: 'PROXY_DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    expect(asked).toEqual([]);
  });

  it("the provider's certificate is checked as without one", async () => {
    const { port } = await working();
    const other = await listen(https.createServer(certificate('DNS:other.example')));
    const outcome = await send(`http://127.0.0.1:${port}`, `https://127.0.0.1:${other}`);
    expect(outcome).toMatchObject({ kind: 'never_sent', phase: 'connected' });
  });

  it('an answer that is lost leaves the request maybe sent', async () => {
    const { port } = await working();
    const server = https.createServer(tls, (request) => request.socket.destroy());
    const outcome = await send(`http://127.0.0.1:${port}`, `https://127.0.0.1:${await listen(server)}`);
    expect(outcome).toMatchObject({ kind: 'unclear', phase: 'secured' });
  });
});

describe('a proxy that opens no way to the provider: proven never sent', () => {
  const status = (line: string) => (socket: net.Socket) =>
    socket.end(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\nno`);
  const established = 'HTTP/1.1 200 Connection established\r\n\r\n';

  it.each<[string, (socket: net.Socket, first: Buffer) => void, RegExp, string]>([
    ['407', status('407 Proxy Authentication Required'), /^PROXY_407$/, 'none'],
    ['403', status('403 Forbidden'), /^PROXY_403$/, 'none'],
    ['502', status('502 Bad Gateway'), /^PROXY_502$/, 'none'],
    ['503', status('503 Service Unavailable'), /^PROXY_503$/, 'none'],
    ['302', status('302 Found'), /^PROXY_302$/, 'none'],
    ['101', status('101 Switching Protocols'), /^PROXY_101$/, 'none'],
    ['silence', () => undefined, /^deadline$/, 'none'],
    ['100', status('100 Continue'), /^PROXY_100$/, 'none'],
    ['garbage', (s) => s.end('\u0000\u0001 no http\r\n\r\n'), /^PROXY_HPE_/, 'none'],
    ['its own TLS', (s) => s.end(Buffer.from('1503010002022f', 'hex')), /^PROXY_HPE_/, 'none'],
    [
      'a head beyond all bounds',
      (s) => s.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`),
      /^PROXY_HPE_HEADER_OVERFLOW$/,
      'none',
    ],
    ['a head without an end', (s) => s.write('HTTP/1.1 200 OK\r\nX: x'), /^deadline$/, 'none'],
    ['a reset', (s) => s.resetAndDestroy(), /^PROXY_ECONNRESET$/, 'none'],
    ['an end', (s) => s.end(), /^PROXY_ECONNRESET$/, 'none'],
    ['a reset in the head', (s) => s.write('HTTP/1.1 200 O', () => s.resetAndDestroy()), /^PROXY_ECONNRESET$/, 'none'],
    ['words of its own after the head', (s) => s.write(`${established}hello`), /^PROXY_SPOKE_FIRST$/, 'none'],
    [
      'a reset after the head',
      (s) => s.write(established, () => s.resetAndDestroy()),
      /ECONNRESET$/,
      '(?:none|connected)',
    ],
    ['an end after the head', (s) => s.end(established), /^ECONNRESET$/, 'connected'],
    ['silence after the head', (s) => s.write(established), /^deadline$/, 'connected'],
    [
      'a reset in the handshake',
      (s) => s.write(established, () => s.once('data', () => s.resetAndDestroy())),
      /^ECONNRESET$/,
      'connected',
    ],
    [
      'garbage in the handshake',
      (s) => s.write(established, () => s.once('data', () => s.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))),
      /^ERR_SSL_WRONG_VERSION_NUMBER$/,
      'connected',
    ],
  ])('%s', async (_, react, reason, phase) => {
    const outcome = await send(await speaking(react), provider, 600);
    expect(outcome).toMatchObject({
      kind: 'never_sent',
      reason: expect.stringMatching(reason) as string,
      phase: expect.stringMatching(`^${phase}$`) as string,
    });
    expect(seen).toBe(0);
    expect(shown(outcome)).not.toMatch(/secret|user|dXNlc/);
  });

  it('nobody listens', async () => {
    const outcome = await send(`http://user:secret@127.0.0.1:${await freePort()}`);
    expect(outcome).toMatchObject({ kind: 'never_sent', reason: 'PROXY_ECONNREFUSED', phase: 'none' });
  });

  it('its name does not resolve', async () => {
    const outcome = await send('http://user:secret@no-such-proxy.invalid:3128');
    expect(outcome).toMatchObject({ kind: 'never_sent', reason: expect.stringMatching(/^PROXY_E/) as string });
  });

  it('and it is not gone round', async () => {
    process.env['NO_PROXY'] = '*';
    const outcome = await send(`http://127.0.0.1:${await freePort()}`).finally(() => delete process.env['NO_PROXY']);
    expect([outcome.kind, seen]).toEqual(['never_sent', 0]);
  });
});
