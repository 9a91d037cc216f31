import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface ProxyCut {
  /** Which statement: the bytes that the application sends for it, parameters included, as latin1. */
  statement: RegExp;
  /** `answer`: the server has done it and has said so, nobody hears it. `request`: it never reaches the server. */
  lost: 'answer' | 'request';
}

interface Scripted extends ProxyCut {
  done: () => void;
}

/** Message types that end what the server answers as one: Query and Sync. */
const LAST_OF_REQUEST = new Set(['Q', 'S']);

/** A TCP proxy before Postgres that can lose one statement's answer, or the statement, and with it the connection. */
export class DatabaseProxy {
  private readonly sockets = new Set<Socket>();
  private readonly cuts: Scripted[] = [];
  private readonly server = createServer((client) => this.serve(client));

  private constructor(private readonly target: URL) {}

  /** @param url of the database behind it. */
  static async start(url: string): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(new URL(url));
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** Of the same database, through the proxy. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** Cuts the connection at the next such statement. @returns when it is cut. */
  cut(cut: ProxyCut): Promise<void> {
    return new Promise((done) => this.cuts.push({ ...cut, done }));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  private serve(client: Socket): void {
    const server = connect(Number(this.target.port), this.target.hostname);
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    let losing: Scripted | undefined;
    const requests = new RequestReader();
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      for (const request of requests.read(chunk)) {
        if (losing) return;
        losing = this.take(request);
        if (losing?.lost === 'request') {
          end();
          losing.done();
          return;
        }
        server.write(request);
      }
    });
    server.on('data', (chunk) => {
      if (!losing) client.write(chunk);
      // The last bytes of an answer: ReadyForQuery, outside a transaction, so what was asked for is committed.
      else if (chunk.subarray(-6).equals(Buffer.from('Z\0\0\0\x05I', 'latin1'))) {
        end();
        losing.done();
      }
    });
  }

  private take(request: Buffer): Scripted | undefined {
    const text = request.toString('latin1');
    const index = this.cuts.findIndex(({ statement }) => statement.test(text));
    return index < 0 ? undefined : this.cuts.splice(index, 1)[0];
  }
}

/** Cuts the application's bytes into whole requests, however the network has cut them. */
class RequestReader {
  private pending = Buffer.alloc(0);
  private isStarted = false;

  read(chunk: Buffer): Buffer[] {
    this.pending = Buffer.concat([this.pending, chunk]);
    const requests: Buffer[] = [];
    for (let end = 0; ;) {
      // The first message of a connection has no type.
      const typeLength = this.isStarted ? 1 : 0;
      if (this.pending.length < end + typeLength + 4) return requests;
      const type = this.pending.toString('latin1', end, end + typeLength);
      end += typeLength + this.pending.readUInt32BE(end + typeLength);
      if (this.pending.length < end) return requests;
      // Passwords and the end of a connection are requests of their own too.
      if (!this.isStarted || LAST_OF_REQUEST.has(type) || type === 'p' || type === 'X') {
        requests.push(this.pending.subarray(0, end));
        this.pending = this.pending.subarray(end);
        end = 0;
      }
      this.isStarted = true;
    }
  }
}
