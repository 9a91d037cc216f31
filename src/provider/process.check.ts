import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { ConfigurationError } from '../alikassa.errors.js';
import { arrival } from './arrival.js';
import { post } from './provider.http.js';
import { Transport } from './transport.js';

/** How long it may take, counted in so many turns: a process that is stopped or busy at its start has none meanwhile. */
const [TURNS, TURN_MS] = [50, 100];
const ANSWERS = '/answers';
const ENDS = '/ends';
const FORCED =
  'this process sends requests over another connection than the one they are given (a proxy agent such as global-agent, ' +
  'or a patched http.request), so nobody could tell whether a payout was sent; remove that, and name your proxy here';

/**
 * Looks at what has been done to the process, by requests to a server of its own on the loopback: each must go over the
 * agent that it is given, straight to the server, once, and come back as it was answered.
 * @throws ConfigurationError where one does not.
 */
export async function checkProcess(): Promise<void> {
  const heard: unknown[] = [];
  const server = http.createServer(({ url, socket }, response) => {
    heard.push(url);
    if (url === ENDS) socket.destroy();
    else response.end(url);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const limit = new AbortController();
  const { signal } = limit;
  let turns = 0;
  // An interval that could not be kept is called once, however long that was.
  const timer = setInterval(() => (turns += 1) >= TURNS && limit.abort(), TURN_MS);
  try {
    const { port } = server.address() as AddressInfo;
    const reached = await Promise.all([
      keepsAgent(http.request, http.Agent, port, signal),
      keepsAgent(http.get, http.Agent, port, signal),
      keepsAgent(https.request, https.Agent, port, signal),
      keepsAgent(https.get, https.Agent, port, signal),
    ]);
    const answers = await Promise.all([answerOf(port, ANSWERS, signal), answerOf(port, ENDS, signal)]);
    const isOnce = [ANSWERS, ENDS].every((path) => heard.filter((url) => url === path).length === 1);
    if (!isOnce || answers[0] !== ANSWERS || answers[1] !== null || reached.includes(false))
      throw new ConfigurationError('proxy', FORCED);
  } finally {
    clearInterval(timer);
    server.closeAllConnections();
    server.close();
  }
}

/** Whether a request that is made as others make theirs goes over its agent, and its agent's connection to the server. */
async function keepsAgent(
  send: (options: https.RequestOptions) => http.ClientRequest,
  Agent: typeof http.Agent,
  port: number,
  signal: AbortSignal,
): Promise<boolean> {
  let socket: Socket | undefined;
  class WatchedAgent extends Agent {
    override createConnection(
      ...args: Parameters<http.Agent['createConnection']>
    ): ReturnType<http.Agent['createConnection']> {
      const made = super.createConnection(...args);
      socket = made as Socket;
      return made;
    }
  }
  let request: http.ClientRequest | undefined;
  try {
    // Without authorities: reading them would take longer than all the rest.
    request = send({ host: '127.0.0.1', port, ca: [], agent: new WatchedAgent() });
    // What becomes of it does not matter: it speaks of TLS to a server that has none, or is ended here.
    request.on('error', () => undefined).end();
    if (socket) await arrival(socket, 'connect', signal);
    return socket?.remotePort === port;
  } catch {
    return false;
  } finally {
    request?.destroy();
  }
}

/** One exchange over the client's own connection; null where it fails. */
async function answerOf(port: number, path: string, signal: AbortSignal): Promise<string | null> {
  const url = `http://127.0.0.1:${port}`;
  const transport = new Transport(url);
  try {
    await transport.open(signal);
    const { data } = await post({ url: url + path, data: Buffer.from('[]'), ...transport.give(() => false), signal });
    return transport.hasWritten ? data.toString() : null;
  } catch {
    return null;
  } finally {
    transport.close();
  }
}
