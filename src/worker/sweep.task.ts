import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import { CalmLog } from '../instrumentation/calm.log.js';
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
  private readonly calm = new CalmLog((line) => this.logger.warn(line));
  private isRunning = false;

  constructor(
    private readonly store: PayoutStore,
    private readonly deliveries: DeliveryStore,
    private readonly jobs: JobStore,
    private readonly retention: RecipientRetention,
    private readonly options: ResolvedOptions,
    private readonly restored: RestoredPayouts,
  ) {}

  /** One at a time: a sweep that is asked for meanwhile is not made. Each of its steps is made whatever becomes of the others. */
  async run(): Promise<void> {
    if (this.isRunning) return;
    this.isRunning = true;
    try {
      await this.sweep();
    } finally {
      this.isRunning = false;
    }
  }

  private async sweep(): Promise<void> {
    const { leaseMs, worker } = this.options;
    const overdue = { overdueMs: 2 * worker.sweepIntervalMs, limit: BATCH, runMs: Math.min(leaseMs, MAX_RUN_MS) };
    await this.step('the checks that come due', () =>
      this.store.scheduleChecks(SWEEPS_AHEAD * worker.sweepIntervalMs, MOST_CHECKS),
    );
    await this.step('payouts of a database that went back', () => this.restored.bring());
    const expired = await this.step('expired leases', () => this.expire());
    const payouts = await this.step('overdue payouts', () => this.store.requeueOverdue(overdue));
    const calls = await this.step('overdue calls of handlers', () => this.deliveries.requeueOverdue(overdue));
    // Nothing waits for these any more; unlocked they run, find nothing to do, and are gone.
    await this.step('jobs of dead workers', async () => {
      await this.jobs.unlockHeldFor(2 * leaseMs);
      return 0;
    });
    if (expired + payouts + calls > 0) {
      this.logger.warn(
        `${expired} expired leases are now unknown; the jobs of ${payouts} payouts and ${calls} handler calls ` +
          'were lost and added again.',
      );
    }
    const erased = await this.step('the retention of recipients', () => this.retention.erase());
    if (erased > 0) {
      this.logger.log(`Erased the recipients of ${erased} payouts that ended ${this.retention.days} days ago or more.`);
    }
  }

  /** @returns how many payouts it has changed. */
  private async expire(): Promise<number> {
    const expired = await this.store.expiredLeases(BATCH);
    // All at once: one that is held holds up no other, and they are written together.
    const results = await Promise.allSettled(
      expired.map(async (id) => this.store.settle(id, { type: 'lease_expired' })),
    );
    for (const result of results) if (result.status === 'rejected') this.report('expired leases', result.reason);
    return results.filter(({ status }) => status === 'fulfilled').length;
  }

  private async step(what: string, work: () => Promise<number>): Promise<number> {
    try {
      return await work();
    } catch (error) {
      this.report(what, error);
      return 0;
    }
  }

  private report(what: string, error: unknown): void {
    this.calm.say(what, `The sweep has left out ${what}: ${(error as Error).message}`);
  }
}
