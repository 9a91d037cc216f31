import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface ProxyCut {
  /** Which statement: the bytes that the application sends for it, parameters included, as latin1; with its text, if it was prepared before. */
  statement: RegExp;
  /** `answer`: the server has done it and has said so, nobody hears it. `request`: it never reaches the server. */
  lost: 'answer' | 'request';
}

interface Scripted extends ProxyCut {
  done: () => void;
}

interface Held {
  statement: RegExp;
  done: (goOn: () => void) => void;
}

/** Message types that end what the server answers as one: Query and Sync. */
const LAST_OF_REQUEST = new Set(['Q', 'S']);

/** A TCP proxy before Postgres that can lose one statement's answer, or the statement, and with it the connection. */
export class DatabaseProxy {
  private readonly sockets = new Set<Socket>();
  private readonly cuts: Scripted[] = [];
  private readonly holds: Held[] = [];
  private readonly server = createServer({ allowHalfOpen: true }, (client) => this.serve(client));
  /** Ends the connections' forwarding. */
  private readonly silencers = new Set<() => void>();
  private isSilent = false;

  private constructor(private target: URL) {}

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

  /** Keeps back what the server says to the next such statement, which it does meanwhile. @returns passes it on. */
  hold(statement: RegExp): Promise<() => void> {
    return new Promise((done) => this.holds.push({ statement, done }));
  }

  /** Ends every connection; new ones lead to another server, as a load balancer does it after a failover. */
  switchTo(url: string): void {
    this.target = new URL(url);
    for (const socket of this.sockets) socket.destroy();
  }

  /**
   * Forwards nothing more on the connections that there are, in neither direction, and lets no side hear of the other's end:
   * a firewall that has forgotten them.
   * @param alsoNew the same to those that come.
   */
  silence(alsoNew = false): void {
    this.isSilent = alsoNew;
    for (const silence of this.silencers) silence();
    this.silencers.clear();
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  private serve(client: Socket): void {
    const server = connect(Number(this.target.port), this.target.hostname);
    let { isSilent } = this;
    const silence = (): void => void (isSilent = true);
    this.silencers.add(silence);
    const end = (): void => {
      if (isSilent) return;
      client.destroy();
      server.destroy();
    };
    let losing: Scripted | undefined;
    const requests = new RequestReader();
    const prepared = new PreparedTexts();
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', end);
      socket.on('end', end);
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.silencers.delete(silence);
        end();
      });
    }
    client.on('data', (chunk) => {
      if (isSilent) return;
      for (const request of requests.read(chunk)) {
        if (losing) return;
        const text = prepared.textOf(request) + request.toString('latin1');
        losing = take(this.cuts, text);
        if (losing?.lost === 'request') {
          end();
          losing.done();
          return;
        }
        const held = take(this.holds, text);
        if (held) server.pause();
        server.write(request, () => held?.done(() => server.resume()));
      }
    });
    server.on('data', (chunk) => {
      if (isSilent) return;
      if (!losing) client.write(chunk);
      // The last bytes of an answer: ReadyForQuery, outside a transaction, so what was asked for is committed.
      else if (chunk.subarray(-6).equals(Buffer.from('Z\0\0\0\x05I', 'latin1'))) {
        end();
        losing.done();
      }
    });
  }
}

/** The first that waits for such a statement; it waits no longer. */
function take<T extends { statement: RegExp }>(waiting: T[], text: string): T | undefined {
  const index = waiting.findIndex(({ statement }) => statement.test(text));
  return index < 0 ? undefined : waiting.splice(index, 1)[0];
}

/** What a connection has prepared: only the first request of a named statement holds its text. */
class PreparedTexts {
  private readonly texts = new Map<string, string>();

  /** The texts of the statements that the request binds. */
  textOf(request: Buffer): string {
    let found = '';
    for (let at = 0; at + 5 <= request.length; at += 1 + request.readUInt32BE(at + 1)) {
      const type = request.toString('latin1', at, at + 1);
      const [first = '', second = ''] = request.toString('latin1', at + 5).split('\0', 2);
      if (type === 'P' && first !== '') this.texts.set(first, second);
      // Bind names the portal first, then the statement.
      if (type === 'B') found += this.texts.get(second) ?? '';
    }
    return found;
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
