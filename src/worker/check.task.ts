import { Logger } from '@nestjs/common';
import { callAttributes, instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import type { AliKassaClient } from '../provider/provider.client.js';

/** Asks the provider for the status of one open payout and settles what it says. */
export class CheckTask {
  private readonly logger = new Logger('AliKassaCheck');

  constructor(
    private readonly store: PayoutStore,
    private readonly client: AliKassaClient,
  ) {}

  async run(payoutId: string): Promise<void> {
    const { payout } = await this.store.read(payoutId);
    if (payout.status !== 'wait' && payout.status !== 'unknown') return;
    // The provider's own id where it is known: an order_id may stand for more than one of its records (PROVIDER.md,
    // "Create a payout").
    const key = payout.providerId ? { id: payout.providerId } : { order_id: payout.orderId };
    const askedAt = performance.now();
    const outcome = await this.client.payoutStatus(payout.account, key);
    const attributes = callAttributes(payout, outcome);
    annotate({ 'alikassa.payout.id': payoutId, ...attributes });
    instruments().check.record(secondsSince(askedAt), attributes);
    const { payout: settled } = await this.store.settle(payoutId, { type: 'check', outcome });
    this.logger.debug(`Payout ${payoutId}: check ${outcome.kind} (${outcome.reason}), ${settled.status}`);
  }
}
