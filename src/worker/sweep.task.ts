import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { PayoutStore } from '../payouts/payout.store.js';

const BATCH = 500;

/** Repairs what a dead worker left: expired leases, and payouts whose job is overdue. */
export class SweepTask {
  private readonly logger = new Logger('AliKassaSweep');

  constructor(
    private readonly store: PayoutStore,
    private readonly options: ResolvedOptions,
  ) {}

  async run(): Promise<void> {
    const expired = await this.store.expiredLeases(BATCH);
    for (const id of expired) await this.store.settle(id, { type: 'lease_expired' });
    // A job that is merely late must not be added twice over, so only what is overdue by two sweeps is.
    const overdue = await this.store.requeueOverdue(2 * this.options.worker.sweepIntervalMs, BATCH);
    if (expired.length + overdue > 0) {
      this.logger.warn(`${expired.length} expired leases are now unknown; ${overdue} overdue jobs were added again.`);
    }
  }
}
