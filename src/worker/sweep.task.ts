import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { DeliveryStore } from '../payouts/delivery.store.js';
import type { JobStore } from '../payouts/job.store.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import type { RecipientRetention } from '../payouts/recipient.retention.js';
import type { RestoredPayouts } from '../payouts/restored.payouts.js';

const BATCH = 500;
/** Of checks: each open payout has its turn every hour at least. */
const MOST_CHECKS = 5_000;
/** So many sweeps ahead: one may fail. */
const SWEEPS_AHEAD = 2;

/** A job that is locked for longer is taken to be a dead worker's, unless the lease says so sooner. */
const MAX_RUN_MS = 10_000;

/**
 * Adds the jobs of the checks that come due. Repairs what a dead worker left: expired leases, and what is overdue because
 * its job is locked or lost, or the database went back. After that it erases the recipients whose retention has ended.
 */
export class SweepTask {
  private readonly logger = new Logger('AliKassaSweep');

  constructor(
    private readonly store: PayoutStore,
    private readonly deliveries: DeliveryStore,
    private readonly jobs: JobStore,
    private readonly retention: RecipientRetention,
    private readonly options: ResolvedOptions,
    private readonly restored: RestoredPayouts,
  ) {}

  async run(): Promise<void> {
    // First, so that polling goes on whatever cannot be repaired.
    await this.store.scheduleChecks(SWEEPS_AHEAD * this.options.worker.sweepIntervalMs, MOST_CHECKS);
    await this.restored.bring();
    const expired = await this.store.expiredLeases(BATCH);
    for (const id of expired) await this.store.settle(id, { type: 'lease_expired' });
    const { leaseMs, worker } = this.options;
    const overdue = { overdueMs: 2 * worker.sweepIntervalMs, limit: BATCH, runMs: Math.min(leaseMs, MAX_RUN_MS) };
    const payouts = await this.store.requeueOverdue(overdue);
    const calls = await this.deliveries.requeueOverdue(overdue);
    // Nothing waits for these any more; unlocked they run, find nothing to do, and are gone.
    await this.jobs.unlockHeldFor(2 * leaseMs);
    if (expired.length + payouts + calls > 0) {
      this.logger.warn(
        `${expired.length} expired leases are now unknown; the jobs of ${payouts} payouts and ${calls} handler calls ` +
          'were lost and added again.',
      );
    }
    const erased = await this.retention.erase();
    if (erased > 0) {
      this.logger.log(`Erased the recipients of ${erased} payouts that ended ${this.retention.days} days ago or more.`);
    }
  }
}
