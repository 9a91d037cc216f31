import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { phpJsonEncode } from '../provider/php-json.js';
import type { SimulatedPayout } from './simulator.ledger.js';

/** Parameters of a notification; null leaves one out. */
export type NotificationParameters = Record<string, string | number | bigint | null>;

/** The signed order (PROVIDER.md, "Notifications"). */
const ORDER = [
  'type',
  'id',
  'order_id',
  'payment_status',
  'amount',
  'payment_amount',
  'commission_amount',
  'is_partial_payment',
  'account',
  'service',
  'desc',
] as const;

/** Sends signed notifications as the provider does: GET with a query, again if it was not acknowledged. */
export class SimulatorNotifier {
  /** Requests that went out, repeats included. */
  sent = 0;
  private readonly key: KeyObject;

  constructor(
    privateKey: string,
    private readonly retries: number,
    private readonly retryMs: number,
    private readonly stopped: AbortSignal,
  ) {
    this.key = createPrivateKey(privateKey);
  }

  /** The raw query of a signed notification. */
  signedQuery(parameters: NotificationParameters, digest: 'sha1' | 'sha256' = 'sha1'): string {
    const text = (name: string): string | null => (parameters[name] == null ? null : String(parameters[name]));
    const signed = Object.fromEntries(
      ORDER.map((name) => [name, name === 'id' ? BigInt(parameters['id'] ?? 0) : text(name)]),
    );
    const signature = sign(digest, Buffer.from(phpJsonEncode(signed)), this.key).toString('base64');
    const query = new URLSearchParams();
    for (const name of ORDER) if (text(name) !== null) query.set(name, text(name) ?? '');
    query.set('sign', signature);
    return query.toString();
  }

  parametersOf(payout: SimulatedPayout): NotificationParameters {
    return {
      type: 'payout',
      id: payout.id,
      order_id: payout.order_id,
      payment_status: payout.payment_status,
      amount: payout.amount,
      payment_amount: payout.payment_amount,
      commission_amount: payout.commission_amount,
      is_partial_payment: payout.is_partial_payment ? '1' : '0',
      account: payout.account,
      service: payout.service,
      desc: null,
    };
  }

  /** Sends one query until it is acknowledged. @returns the last HTTP status, 0 where nobody answered. */
  async deliver(url: string, query: string): Promise<number> {
    let status = 0;
    for (let attempt = 0; attempt <= this.retries && !this.stopped.aborted; attempt++) {
      if (attempt > 0 && !(await this.pause())) break;
      status = await this.sendOnce(url, query);
      if (status >= 200 && status < 300) break;
    }
    return status;
  }

  /** @returns the HTTP status, 0 where nobody answered. */
  async sendOnce(url: string, query: string): Promise<number> {
    this.sent += 1;
    const target = url + (url.includes('?') ? '&' : '?') + query;
    try {
      const response = await fetch(target, { signal: AbortSignal.any([this.stopped, AbortSignal.timeout(5_000)]) });
      await response.arrayBuffer();
      return response.status;
    } catch {
      // Nobody listens: the retry, or the merchant's polling, is what this is for.
      return 0;
    }
  }

  private async pause(): Promise<boolean> {
    return sleep(this.retryMs, true, { signal: this.stopped, ref: false }).catch(() => false);
  }
}
