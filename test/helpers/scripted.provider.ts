import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** What the provider is asked: by the merchant's order_id, or by an id of its own. */
export type Asked = { order_id: string; id?: undefined } | { id: number; order_id?: undefined };

/** An answer; `drop`: the connection is reset in its place. */
export type Reply = { status: number; body: string | object } | 'drop';

/** The documented answer to a question about what the provider does not have. */
export const NOT_FOUND: Reply = {
  status: 404,
  body: { message: 'The given data was invalid.', errors: { order_id: ['The selected order id is invalid.'] } },
};
/** The documented refusal of an order_id that it has. */
export const TAKEN: Reply = {
  status: 400,
  body: { message: 'The given data was invalid.', errors: { order_id: ['The order id has already been taken.'] } },
};

export const ok = (body: object): Reply => ({ status: 200, body });

/** A provider over a real socket that answers as the test says, for what no true record of it would answer. */
export class ScriptedProvider {
  /** The answer to each submission, told how many of its order came before. */
  onCreate: (order: string, before: number) => Reply | Promise<Reply> = () => 'drop';
  /** The answer to each status call. */
  onStatus: (asked: Asked) => Reply = () => NOT_FOUND;
  readonly submissions: string[] = [];
  readonly questions: Asked[] = [];
  private readonly server = http.createServer((request, response) => {
    void this.answer(request).then((reply) => {
      if (reply === 'drop') return request.socket.resetAndDestroy();
      const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
      return response.writeHead(reply.status, { 'content-type': 'application/json' }).end(text);
    });
  });

  static async start(): Promise<ScriptedProvider> {
    const provider = new ScriptedProvider();
    provider.server.listen(0, '127.0.0.1');
    await once(provider.server, 'listening');
    return provider;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  private async answer(request: http.IncomingMessage): Promise<Reply> {
    const body = JSON.parse(Buffer.concat((await request.toArray()) as Buffer[]).toString()) as Asked;
    if (request.url === '/v1/payout/status') {
      this.questions.push(body);
      return this.onStatus(body);
    }
    const order = String(body.order_id);
    const before = this.submissions.filter((one) => one === order).length;
    this.submissions.push(order);
    return this.onCreate(order, before);
  }
}
