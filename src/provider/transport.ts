import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { SocketPhase } from './provider.types.js';

export interface TransportOptions {
  /** Certificate authorities instead of Node's own: for a proxy, or to pin. PEM. */
  ca?: string | Buffer;
}

/** The agents of one request, and how far its socket got. */
export interface TrackedTransport {
  agents: { httpAgent: http.Agent } | { httpsAgent: https.Agent };
  phase(): SocketPhase;
  /**
   * Whether a failed request is proven never sent. Judged by the socket's phase, since error codes do not tell: the
   * first byte of a request leaves after `secureConnect`, or after `connect` where there is no TLS.
   */
  isProvenUnsent(): boolean;
}

/** Transport for one request: a new socket that nobody else uses, so that its phase is this request's. */
export function trackedTransport(baseUrl: string, options: TransportOptions = {}): TrackedTransport {
  let phase: SocketPhase = 'none';
  const watch = <T extends Duplex>(socket: T): T => {
    socket.once('connect', () => (phase = 'connected'));
    socket.once('secureConnect', () => (phase = 'secured'));
    return socket;
  };
  if (new URL(baseUrl).protocol === 'http:') {
    const httpAgent = watched(new http.Agent({ keepAlive: false }), watch);
    return { agents: { httpAgent }, phase: () => phase, isProvenUnsent: () => phase === 'none' };
  }
  // Verification cannot be switched off: not by an option, and not by NODE_TLS_REJECT_UNAUTHORIZED either.
  const httpsAgent = watched(
    new https.Agent({ keepAlive: false, minVersion: 'TLSv1.2', rejectUnauthorized: true, ca: options.ca }),
    watch,
  );
  return { agents: { httpsAgent }, phase: () => phase, isProvenUnsent: () => phase !== 'secured' };
}

type Connect = (options: object, callback?: (error: Error | null, socket: Duplex) => void) => Duplex;

function watched<A extends http.Agent>(agent: A, watch: (socket: Duplex) => Duplex): A {
  // createConnection is documented (Node, "agent.createConnection"), but not in every version's types.
  const target = agent as unknown as { createConnection: Connect };
  const connect = target.createConnection.bind(agent);
  target.createConnection = (options, callback) => watch(connect(options, callback));
  return agent;
}
