import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import type { AddressInfo, LookupFunction } from 'node:net';
import { trackedTransport, type TrackedTransport } from '../../src/provider/transport.js';
import { certificate } from '../helpers/certificate.js';

const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
let connections = 0;

async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: net.Socket) => {
    connections += 1;
    sockets.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** One request over the transport; what it ended with is `answered` or the error's code. */
function request(transport: TrackedTransport, port: number, options: http.RequestOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    const common = { host: '127.0.0.1', port, method: 'POST', ...options };
    const made =
      'httpsAgent' in transport.agents
        ? https.request({ ...common, agent: transport.agents.httpsAgent })
        : http.request({ ...common, agent: transport.agents.httpAgent });
    made.on('response', (response) => response.resume().on('end', () => resolve('answered')));
    made.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    made.end('body');
  });
}

beforeEach(() => (connections = 0));
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
});

describe('plain http', () => {
  it('may have been sent as soon as the socket is connected', async () => {
    const port = await listen(http.createServer((_, response) => response.end()));
    const transport = trackedTransport('http://127.0.0.1');
    expect([transport.phase(), transport.isProvenUnsent()]).toEqual(['none', true]);
    expect(await request(transport, port)).toBe('answered');
    expect([transport.phase(), transport.isProvenUnsent()]).toEqual(['connected', false]);
  });

  it('counts the socket that connected where the first address of a name is dead', async () => {
    const port = await listen(http.createServer((_, response) => response.end()));
    const lookup: LookupFunction = (_name, _options, done) =>
      done(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const transport = trackedTransport('http://two.example');
    expect(await request(transport, port, { host: 'two.example', lookup })).toBe('answered');
    expect(transport.isProvenUnsent()).toBe(false);
  });
});

describe('https', () => {
  const tls = certificate();

  it('is proven unsent until the handshake is done, and not from then on', async () => {
    const port = await listen(https.createServer(tls, (_, response) => response.end()));
    const distrusted = trackedTransport('https://127.0.0.1');
    expect(await request(distrusted, port)).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect([distrusted.phase(), distrusted.isProvenUnsent()]).toEqual(['connected', true]);
    const trusted = trackedTransport('https://127.0.0.1', { ca: tls.cert });
    expect(await request(trusted, port)).toBe('answered');
    expect([trusted.phase(), trusted.isProvenUnsent()]).toEqual(['secured', false]);
  });

  it('leaves no socket behind: it is closed after the answer', async () => {
    const asked: unknown[] = [];
    const answer: http.RequestListener = ({ headers }, response) => {
      asked.push(headers.connection);
      response.end();
    };
    const ports = [await listen(http.createServer(answer)), await listen(https.createServer(tls, answer))];
    await request(trackedTransport('http://127.0.0.1'), ports[0]!);
    await request(trackedTransport('https://127.0.0.1', { ca: tls.cert }), ports[1]!);
    expect(asked).toEqual(['close', 'close']);
  });

  it('never speaks a TLS older than 1.2, whatever the process allows', () => {
    const { agents } = trackedTransport('https://127.0.0.1');
    expect('httpsAgent' in agents && agents.httpsAgent.options.minVersion).toBe('TLSv1.2');
  });
});

describe('a closed transport', () => {
  it.each(['http', 'https'])('opens no %s connection any more, however late it is asked to', async (scheme) => {
    const port = await listen(http.createServer((_, response) => response.end()));
    const transport = trackedTransport(`${scheme}://127.0.0.1`);
    transport.close();
    expect(await request(transport, port)).toBe('ECONNRESET');
    // Long enough for a connection to the loopback to be made, were one under way.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([connections, transport.isProvenUnsent()]).toEqual([0, true]);
  });

  it('stays proven unsent, whatever its socket still says', async () => {
    const port = await listen(http.createServer((_, response) => response.end()));
    const transport = trackedTransport('http://127.0.0.1');
    const { agents } = transport;
    const socket = 'httpAgent' in agents && agents.httpAgent.createConnection({ host: '127.0.0.1', port });
    if (!socket) throw new Error('the agent made no socket');
    transport.close();
    socket.emit('connect');
    expect([transport.phase(), transport.isProvenUnsent()]).toEqual(['none', true]);
  });

  it('ends the connection that is being made, so that nothing is sent after the verdict', async () => {
    let requests = 0;
    const port = await listen(http.createServer((_, response) => response.end(String((requests += 1)))));
    const transport = trackedTransport('http://127.0.0.1');
    const ended = request(transport, port);
    // A turn later the request has its socket, which is connecting.
    await new Promise((resolve) => process.nextTick(resolve));
    transport.close();
    expect(transport.isProvenUnsent()).toBe(true);
    expect(await ended).not.toBe('answered');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([requests, transport.isProvenUnsent()]).toEqual([0, true]);
  });
});
