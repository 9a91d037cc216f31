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
  /** How far the socket got so far. */
  phase(): SocketPhase;
  /**
   * Whether a failed request is proven never sent. Judged by the socket's phase, since error codes do not tell: the
   * first byte of a request leaves after `secureConnect`, or after `connect` where there is no TLS. Call `close()`
   * first: only of a closed transport it stays true.
   */
  isProvenUnsent(): boolean;
  /** Destroys the socket and refuses every further one. */
  close(): void;
}

/** The socket of one request: watched from its making, on either agent. */
class SocketWatch {
  phase: SocketPhase = 'none';
  private readonly sockets = new Set<Duplex>();
  private isClosed = false;

  /** `connect` and `secureConnect` come once, on the final socket, however many addresses were tried. */
  watch<T extends Duplex | null | undefined>(socket: T): T {
    if (!socket) return socket;
    this.sockets.add(socket);
    // Without an error: nobody listens to this socket yet, so an error event would end the process.
    if (this.isClosed) socket.destroy();
    // Once closed nothing counts any more: the answer to "was it sent?" must not change.
    socket.once('connect', () => this.reach('connected'));
    socket.once('secureConnect', () => this.reach('secured'));
    return socket;
  }

  close(): void {
    this.isClosed = true;
    for (const socket of this.sockets) socket.destroy();
  }

  private reach(phase: SocketPhase): void {
    if (!this.isClosed) this.phase = phase;
  }
}

type Connected = (error: Error | null, socket: Duplex) => void;

class WatchedHttpAgent extends http.Agent {
  constructor(private readonly watched: SocketWatch) {
    super({ keepAlive: false });
  }

  override createConnection(options: http.ClientRequestArgs, callback?: Connected): Duplex | null | undefined {
    return this.watched.watch(super.createConnection(options, callback));
  }
}

class WatchedHttpsAgent extends https.Agent {
  constructor(
    private readonly watched: SocketWatch,
    ca: string | Buffer | undefined,
  ) {
    // Verification cannot be switched off: not by an option, and not by NODE_TLS_REJECT_UNAUTHORIZED either.
    super({ keepAlive: false, minVersion: 'TLSv1.2', rejectUnauthorized: true, ca });
  }

  override createConnection(options: https.RequestOptions, callback?: Connected): Duplex | null | undefined {
    return this.watched.watch(super.createConnection(options, callback));
  }
}

/**
 * Transport for one request: a new socket that nobody else uses, so that its phase is this request's.
 * @param baseUrl tells whether TLS is spoken; with it the certificate is always verified and TLS is 1.2 or newer
 * (PROVIDER.md, "Transport").
 */
export function trackedTransport(baseUrl: string, options: TransportOptions = {}): TrackedTransport {
  const isTls = new URL(baseUrl).protocol !== 'http:';
  const sockets = new SocketWatch();
  return {
    agents: isTls
      ? { httpsAgent: new WatchedHttpsAgent(sockets, options.ca) }
      : { httpAgent: new WatchedHttpAgent(sockets) },
    phase: () => sockets.phase,
    isProvenUnsent: () => (isTls ? sockets.phase !== 'secured' : sockets.phase === 'none'),
    close: () => sockets.close(),
  };
}
