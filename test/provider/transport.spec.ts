import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { request as ownRequest } from '../../src/provider/provider.http.js';
import { Transport } from '../../src/provider/transport.js';
import { certificate } from '../helpers/certificate.js';
import { until } from '../helpers/until.js';

const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
let connections = 0;
let requests = 0;

async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => {
    connections += 1;
    sockets.add(socket.on('error', () => undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const answering: http.RequestListener = (_, response) => void response.end(String((requests += 1)));
const soon = (): AbortSignal => AbortSignal.timeout(2_000);

async function opened(url: string, ca?: string): Promise<Transport> {
  const transport = new Transport(url, { ca });
  await transport.open(soon());
  return transport;
}

/** One request over an agent; what it ended with is `answered` or the error's code or text. */
function send(agents: { httpAgent?: unknown }): Promise<string> {
  return new Promise((resolve) => {
    const agent = agents.httpAgent as http.Agent & { protocol: string };
    const made = ownRequest(
      { host: 'provider.example', method: 'POST', protocol: agent.protocol, agent },
      (response) => {
        response.resume().on('end', () => resolve('answered'));
      },
    );
    made.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    made.end('body');
  });
}

beforeEach(() => {
  connections = 0;
  requests = 0;
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

describe.each(['http', 'https'])('%s', (scheme) => {
  const tls = certificate();
  const last = scheme === 'http' ? 'connected' : 'secured';
  let server: net.Server;
  let url = '';
  beforeEach(async () => {
    server = scheme === 'http' ? http.createServer(answering) : https.createServer(tls, answering);
    url = `${scheme}://127.0.0.1:${await listen(server)}`;
  });

  it('is proven unsent until the first byte, and not from then on', async () => {
    const transport = new Transport(url, { ca: tls.cert });
    expect([transport.phase, transport.isProvenUnsent]).toEqual(['none', true]);
    await transport.open(soon());
    expect([transport.phase, transport.isProvenUnsent]).toEqual([last, true]);
    expect(await send(transport.give(() => false))).toBe('answered');
    expect([transport.isProvenUnsent, transport.hasWritten, connections, requests]).toEqual([false, true, 1, 1]);
  });

  it('gives its one connection once', async () => {
    const transport = await opened(url, tls.cert);
    const agents = transport.give(() => false);
    const both = await Promise.all([send(agents), send(agents)]);
    expect(both.sort()).toEqual(['Not sent: its one connection was given already.', 'answered']);
    expect(await send(agents)).toMatch(/^Not sent/);
    expect([connections, requests]).toEqual([1, 1]);
  });

  it('may have been sent where the request was given away and never asked for our connection', async () => {
    const transport = await opened(url, tls.cert);
    transport.give(() => false);
    transport.close();
    expect(transport.isProvenUnsent).toBe(false);
  });

  it('is proven unsent where it was closed before the request had its turn', async () => {
    const transport = await opened(url, tls.cert);
    const sent = send(transport.give(() => false));
    transport.close();
    expect(await sent).not.toBe('answered');
    expect([transport.isProvenUnsent, requests]).toEqual([true, 0]);
  });

  it('opens no connection any more once it is closed', async () => {
    const transport = await opened(url, tls.cert);
    const agents = transport.give(() => false);
    transport.close();
    expect(await send(agents)).toMatch(/^Not sent/);
    expect([connections, requests]).toEqual([1, 0]);
  });

  it.each(['end', 'resetAndDestroy'] as const)(
    'is proven unsent where the peer closes it meanwhile (%s)',
    async (how) => {
      const served = new Promise<net.Socket>((resolve) =>
        server.once(scheme === 'http' ? 'connection' : 'secureConnection', resolve),
      );
      const transport = await opened(url, tls.cert);
      const socket = await served;
      const inner = (transport as unknown as { socket: net.Socket }).socket;
      if (how === 'end') socket.end();
      else [...sockets].at(-1)?.resetAndDestroy();
      await until(() => inner.destroyed);
      expect(await send(transport.give(() => false))).toMatch(/^Not sent/);
      expect([transport.refusal, transport.isProvenUnsent, requests]).toEqual(['closed_by_peer', true, 0]);
    },
  );

  it('says with the request that the connection is used once', async () => {
    let asked: unknown;
    server.once('request', ({ headers }: http.IncomingMessage) => (asked = headers.connection));
    const transport = await opened(url, tls.cert);
    await send(transport.give(() => false));
    expect(asked).toBe('close');
  });
});

it('takes what was said without a question for the end of the connection', async () => {
  const port = await listen(net.createServer((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n')));
  const transport = await opened(`http://127.0.0.1:${port}`);
  const inner = (transport as unknown as { socket: net.Socket }).socket;
  await until(() => inner.destroyed);
  expect(await send(transport.give(() => false))).toMatch(/^Not sent/);
  expect(transport.isProvenUnsent).toBe(true);
});

it('counts the address that connected where the first one of a name is dead', async () => {
  const port = await listen(http.createServer(answering));
  // Its first address is ::1, where nobody listens.
  const transport = await opened(`http://localhost:${port}`);
  expect(await send(transport.give(() => false))).toBe('answered');
  expect(transport.isProvenUnsent).toBe(false);
});

describe('a handshake that fails', () => {
  it.each<[string, (socket: net.Socket) => void, string]>([
    ['stalls', () => undefined, 'TimeoutError'],
    ['is reset', (socket) => socket.resetAndDestroy(), 'ECONNRESET'],
    ['is ended', (socket) => socket.end(), 'ECONNRESET'],
    ['is answered with garbage', (socket) => socket.write('no TLS at all\r\n'), 'ERR_SSL_WRONG_VERSION_NUMBER'],
  ])('since it %s, is proven unsent', async (_, react, code) => {
    const port = await listen(net.createServer((socket) => socket.once('data', () => react(socket))));
    const transport = new Transport(`https://127.0.0.1:${port}`);
    const failed = (await transport.open(AbortSignal.timeout(300)).catch((error: unknown) => error)) as Error;
    expect('code' in failed && typeof failed.code === 'string' ? failed.code : failed.name).toBe(code);
    transport.close();
    expect([transport.phase, transport.isProvenUnsent]).toEqual(['connected', true]);
  });

  it('since the certificate is not trusted, is proven unsent', async () => {
    const port = await listen(https.createServer(certificate(), answering));
    const transport = new Transport(`https://127.0.0.1:${port}`);
    await expect(transport.open(soon())).rejects.toThrow('self-signed certificate');
    expect([transport.phase, transport.isProvenUnsent, requests]).toEqual(['connected', true, 0]);
    transport.close();
  });
});
