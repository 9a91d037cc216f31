import { createPrivateKey, sign } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { generateTestKeys, AliKassaSimulator, type SimulatorOptions, type TestKeys } from '../../src/testing/index.js';

export const RUB = '93d5df06-996c-48c3-9847-348d6b580b80';
export const EUR = '93d5df06-996c-48c3-9847-348d6b580b81';
/** A made-up number; no test may find it anywhere but in its own request. */
export const NUMBER = '4111111111111111';

export interface Reply {
  status: number;
  body: Record<string, unknown>;
}

export interface CallOptions {
  account?: string;
  digest?: 'sha1' | 'sha256';
  /** Signed in place of the body. */
  signed?: string;
  headers?: Record<string, string>;
}

/** Calls a simulator as a merchant would, with signatures made by node:crypto over texts that the test wrote itself. */
export class ProviderCaller {
  constructor(
    readonly simulator: AliKassaSimulator,
    readonly keys: TestKeys,
  ) {}

  /** @param body the very text that is sent. */
  async call(path: string, body: string, options: CallOptions = {}): Promise<Reply> {
    const { privateKey, passphrase } = this.keys.payout;
    const key = createPrivateKey({ key: privateKey, passphrase });
    const headers = {
      'Content-Type': 'application/json',
      'User-Agent': 'AliKassa2.0 API',
      Account: options.account ?? RUB,
      Sign: sign(options.digest ?? 'sha1', Buffer.from(options.signed ?? body), key).toString('base64'),
      ...options.headers,
    };
    return new Promise((resolve, reject) => {
      const request = httpRequest(this.simulator.url + path, { method: 'POST', headers, agent: false }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, body: (text ? JSON.parse(text) : {}) as Reply['body'] });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  create(orderId: string, amount = '10.00', more = '', options: CallOptions = {}): Promise<Reply> {
    const body = `{"amount":"${amount}","number":"${NUMBER}","order_id":"${orderId}","service":"payment_card_rub"${more}}`;
    return this.call('/v1/payout', body, options);
  }

  status(orderId: string, options: CallOptions = {}): Promise<Reply> {
    return this.call('/v1/payout/status', `{"order_id":"${orderId}"}`, options);
  }

  /** Asks until the payout has the status; the test's own time limit ends it otherwise. */
  async until(orderId: string, status: string): Promise<Reply> {
    for (;;) {
      const reply = await this.status(orderId);
      if (reply.body['payment_status'] === status) return reply;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

let keys: Promise<TestKeys> | undefined;

/** A running simulator and who calls it. The keys are made once per test file. */
export async function startSimulator(options: Partial<SimulatorOptions> = {}): Promise<ProviderCaller> {
  keys ??= generateTestKeys();
  const made = await keys;
  const simulator = new AliKassaSimulator({
    payoutPublicKey: made.payout.publicKey,
    notificationPrivateKey: made.notification.privateKey,
    accounts: [
      { uuid: RUB, currency: 'RUB', balance: '1000.00' },
      { uuid: EUR, currency: 'EUR' },
    ],
    settleAfterMs: 10,
    notificationRetryMs: 10,
    ...options,
  });
  await simulator.start();
  return new ProviderCaller(simulator, made);
}
