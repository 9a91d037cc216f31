import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { ConnectionEnd, ConnectionFault } from './simulator.script.js';

type Listener = http.RequestListener;

/**
 * The simulator's port. Connections are accepted by hand, so that one can go wrong before HTTP or even TLS begins;
 * every other one is passed on to a server of Node's.
 */
export class SimulatorConnections {
  private readonly sockets = new Set<Socket>();
  private readonly server = net.createServer((socket) => this.accept(socket));
  private readonly regular: http.Server;

  constructor(
    private readonly listener: Listener,
    private readonly tls: { key: string; cert: string } | undefined,
    private readonly takeFault: () => ConnectionFault | undefined,
  ) {
    this.regular = tls ? https.createServer(tls, listener) : http.createServer(listener);
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    // A client that resets its connection is none of the simulator's troubles.
    socket.on('error', () => undefined);
    const fault = this.takeFault();
    if (fault?.end) return endConnection(socket, fault.end);
    this.serverFor(fault, socket).emit('connection', socket);
  }

  private serverFor(fault: ConnectionFault | undefined, socket: Socket): http.Server {
    const { tls } = this;
    if (!tls || !fault) return this.regular;
    const { afterHandshake } = fault;
    // A request may come in one packet with the end of the handshake: nobody listens to it then.
    const server = https.createServer(fault.certificate ?? tls, afterHandshake ? undefined : this.listener);
    if (afterHandshake) server.on('secureConnection', () => endConnection(socket, afterHandshake));
    return server;
  }
}

/** Ends a connection, or leaves it open without a word. */
export function endConnection(socket: Socket, how: ConnectionEnd): void {
  if (how === 'reset') socket.resetAndDestroy();
  else if (how === 'close') socket.end();
}
