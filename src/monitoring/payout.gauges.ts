import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { metrics, type BatchObservableCallback, type Observable, type ObservableGauge } from '@opentelemetry/api';
import { SCOPE } from '../instrumentation/spans.js';
import type { PayoutInstance } from '../payouts/payout.instance.js';
import type { PayoutOverview } from '../payouts/payout.overview.js';
import type { WorkerService } from '../worker/worker.service.js';

/**
 * How an instance's payouts stand, as gauges. The database is asked when an SDK collects, and at no other time. Each
 * process tells of all of them, so that they are to be read with max, not sum.
 */
export class PayoutGauges implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stop?: () => void;

  constructor(
    private readonly instance: PayoutInstance,
    private readonly overview: PayoutOverview,
    private readonly worker: WorkerService,
  ) {}

  onApplicationBootstrap(): void {
    const meter = metrics.getMeter(SCOPE);
    const gauge = (name: string, unit: string, description: string): ObservableGauge =>
      meter.createObservableGauge(name, { unit, description });
    const payouts = gauge('alikassa.payouts', '{payout}', 'Open payouts.');
    const attention = gauge('alikassa.payouts.attention', '{payout}', 'Payouts that a person should look at.');
    const unknown = gauge('alikassa.payouts.unknown.age', 's', 'Age of the oldest payout that is unknown.');
    const lag = gauge('alikassa.queue.lag', 's', 'How long what is due has been waiting.');
    const running = gauge('alikassa.worker.running', '1', 'Whether the job engine of this process runs.');
    const hanging = gauge('alikassa.handlers.hanging', '{call}', "Calls of the host's handlers that do not return.");
    const own = { 'alikassa.instance': this.instance.name };
    const observe: BatchObservableCallback = async (result) => {
      if (this.worker.isEnabled) result.observe(running, Number(this.worker.isRunning), own);
      for (const [handler, count] of this.worker.hangingHandlers) {
        result.observe(hanging, count, { ...own, 'alikassa.handler': handler });
      }
      // Without the database nothing is known, and nothing is told: a gap is what it is.
      const overview = await this.overview.read().catch(() => undefined);
      if (!overview) return;
      for (const { account, status, count } of overview.open) {
        result.observe(payouts, count, { ...own, 'alikassa.account': account, 'alikassa.payout.status': status });
      }
      for (const { account, reason, count } of overview.attention) {
        result.observe(attention, count, { ...own, 'alikassa.account': account, 'alikassa.payout.attention': reason });
      }
      for (const [queue, seconds] of Object.entries(overview.lagSeconds)) {
        result.observe(lag, seconds, { ...own, 'alikassa.queue': queue });
      }
      result.observe(unknown, overview.oldestUnknownSeconds, own);
    };
    const all: Observable[] = [payouts, attention, unknown, lag, running, hanging];
    meter.addBatchObservableCallback(observe, all);
    this.stop = () => meter.removeBatchObservableCallback(observe, all);
  }

  /** The database is still open, and an SDK that is shut down collects once more. */
  beforeApplicationShutdown(): void {
    this.stop?.();
  }
}
