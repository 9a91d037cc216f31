import type { Agent, ClientRequest } from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import type { AxiosRequestConfig } from 'axios';
import { arrival } from './arrival.js';
import type { NeverSent, SocketPhase } from './provider.types.js';
import { bare, openTunnel } from './proxy.tunnel.js';

export interface TransportOptions {
  /** Certificate authorities instead of Node's own: for a proxy, or to pin. PEM. */
  ca?: string | Buffer;
  /** `http://user:password@host:port`, or https: the connection goes through a CONNECT tunnel of it. */
  proxy?: string;
}

/**
 * How far the transport's one use has come. `given`: the HTTP client has the request. `asked`: it has asked our agent for
 * the connection. `written`: bytes of the request were handed to the kernel.
 */
type Use = 'none' | 'given' | 'asked' | 'written';

/**
 * One connection for one request. It is opened before there is a request, so that a failure to open proves that nothing
 * was sent. Its agent hands the connection out once, and refuses every further request.
 */
export class Transport {
  /** Why it could not be opened. */
  failure?: NeverSent;
  private reached: SocketPhase = 'none';
  private use: Use = 'none';
  private isClosed = false;
  private refused?: string;
  private isLate?: () => boolean;
  private socket?: net.Socket;
  private readonly sockets = new Set<net.Socket>();
  private readonly target: { host: string; port: number; isTls: boolean };

  /**
   * @param baseUrl tells host, port, and whether TLS is spoken; with it the certificate is always verified and TLS is 1.2
   * or newer (PROVIDER.md, "Transport").
   */
  constructor(
    baseUrl: string,
    private readonly options: TransportOptions = {},
  ) {
    const { protocol, hostname, port } = new URL(baseUrl);
    const isTls = protocol !== 'http:';
    this.target = { host: bare(hostname), port: Number(port || (isTls ? 443 : 80)), isTls };
  }

  /** How far the socket got. */
  get phase(): SocketPhase {
    return this.reached;
  }

  /** Why no byte was taken: `closed_by_peer` before the request, or `lease_over` at its first byte. */
  get refusal(): string | undefined {
    return this.refused;
  }

  /** Whether bytes of the request were handed to the kernel, by this transport. */
  get hasWritten(): boolean {
    return this.use === 'written';
  }

  /**
   * Whether a failed request is proven never sent. It is where there was no request yet, and where our own agent was asked
   * for the connection by this very request and let no byte through. A request that has not asked our agent may have
   * gone out over another. Call `close()` first: only of a closed transport it stays true.
   */
  get isProvenUnsent(): boolean {
    return this.use === 'none' || this.use === 'asked';
  }

  /**
   * Connects, through the proxy where there is one, and finishes the handshake. Up to its end nothing can have been sent.
   * @throws what the network says, or the signal's reason.
   */
  async open(signal: AbortSignal): Promise<void> {
    const { host, port, isTls } = this.target;
    const { ca, proxy } = this.options;
    const keep = this.kept.bind(this);
    const tunnel = proxy ? await openTunnel(proxy, { host, port }, { ca, signal, keep }) : undefined;
    if (tunnel) this.reach('connected');
    // Verification cannot be switched off: not by an option, and not by NODE_TLS_REJECT_UNAUTHORIZED either.
    const strict = { minVersion: 'TLSv1.2', rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] } as const;
    const servername = net.isIP(host) ? undefined : host;
    const socket = isTls
      ? keep(tls.connect({ socket: tunnel, host, port, servername, ca, ...strict }))
      : (tunnel ?? keep(net.connect({ host, port })));
    socket.once('connect', () => this.reach('connected'));
    if (isTls || !tunnel) await arrival(socket, isTls ? 'secureConnect' : 'connect', signal);
    if (isTls && !(socket as tls.TLSSocket).authorized) throw new Error('the certificate was not verified');
    if (isTls) this.reach('secured');
    this.socket = socket;
    // Flowing, so that the peer's end is noticed. Nothing was asked, so an answer is none.
    socket.on('data', this.onUnasked);
  }

  /**
   * Gives the connection to one request.
   * @param isLate asked at the moment of the first byte: whether it must not leave any more.
   * @returns what makes axios use it.
   */
  give(isLate: () => boolean): Pick<AxiosRequestConfig, 'httpAgent' | 'httpsAgent'> {
    this.use = 'given';
    this.isLate = isLate;
    const agent: AgentLike = {
      protocol: this.target.isTls ? 'https:' : 'http:',
      defaultPort: this.target.isTls ? 443 : 80,
      addRequest: (request) => this.serve(request),
    };
    return { httpAgent: agent, httpsAgent: agent };
  }

  /** Destroys the connection and refuses every further one. */
  close(): void {
    this.isClosed = true;
    for (const socket of this.sockets) socket.destroy();
  }

  private readonly onUnasked = (): void => void this.socket?.destroy();

  private serve(request: ClientRequest): void {
    const { socket } = this;
    if (this.use !== 'given' || this.isClosed || !socket)
      return refuse(request, 'its one connection was given already');
    this.use = 'asked';
    socket.off('data', this.onUnasked);
    if (socket.destroyed || socket.readableEnded || !socket.writable) {
      this.refused = 'closed_by_peer';
      return refuse(request, 'the connection was closed before the request');
    }
    this.guard(socket);
    request.onSocket(socket);
  }

  /** Asks at the first byte, as close to the kernel as a stream is, whether it may still leave. */
  private guard(socket: net.Socket): void {
    const mayWrite = (done: (error: Error) => void): boolean => {
      if (this.use === 'written') return true;
      if (!this.isClosed && !this.isLate?.()) {
        this.use = 'written';
        return true;
      }
      if (!this.isClosed) this.refused = 'lease_over';
      done(new Error('the request was not sent any more'));
      socket.destroy();
      return false;
    };
    const write = socket._write.bind(socket);
    const writev = socket._writev?.bind(socket);
    socket._write = (chunk, encoding, done) => {
      if (mayWrite(done)) write(chunk, encoding, done);
    };
    socket._writev = (chunks, done) => {
      if (mayWrite(done)) writev?.(chunks, done);
    };
  }

  private kept<T extends net.Socket>(socket: T): T {
    this.sockets.add(socket);
    // An error that nobody listens to would end the process.
    socket.on('error', () => undefined);
    return socket;
  }

  private reach(phase: SocketPhase): void {
    // Once closed nothing counts any more: the answer to "was it sent?" must not change.
    if (!this.isClosed) this.reached = phase;
  }
}

/** What Node asks of an agent. No subclass of `http.Agent`, whose prototype may be patched. */
type AgentLike = Pick<Agent & { protocol: string; defaultPort: number }, 'protocol' | 'defaultPort'> & {
  addRequest(request: ClientRequest): void;
};

function refuse(request: ClientRequest, why: string): void {
  // As Node's own agent reports a connection that failed.
  (request as unknown as { onSocket(socket: null, error: Error): void }).onSocket(null, new Error(`Not sent: ${why}.`));
}
