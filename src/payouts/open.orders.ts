import type { Payout } from './payout.entity.js';
import { isFinal } from './payout.status.js';

/** So many, some hundred bytes each; the oldest are forgotten first. */
const MOST = 10_000;

/**
 * The open payouts that this process has had to do with, by their order and the provider's id: a sender of forgeries can
 * guess one of them, hardly both. Only a hint: whatever is not in it may be open as well.
 */
export class OpenOrders {
  private readonly providerIds = new Map<string, string>();

  /** Takes the payout as it is now. */
  note({ orderId, providerId, status }: Pick<Payout, 'orderId' | 'providerId' | 'status'>): void {
    this.providerIds.delete(orderId);
    if (providerId === null || isFinal(status)) return;
    this.providerIds.set(orderId, providerId);
    const [oldest] = this.providerIds.keys();
    if (this.providerIds.size > MOST && oldest !== undefined) this.providerIds.delete(oldest);
  }

  has(orderId: string, providerId: string): boolean {
    return this.providerIds.get(orderId) === providerId;
  }
}
