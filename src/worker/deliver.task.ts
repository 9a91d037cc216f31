import { Logger } from '@nestjs/common';
import { instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import type { DeliveryStore, TakenDelivery } from '../payouts/delivery.store.js';
import type { HandlerRegistry, PayoutStatusHandler } from '../payouts/handler.registry.js';
import type { DeliveryJob } from '../payouts/payout.queue.js';
import { backoff } from '../payouts/payout.schedule.js';
import type { PayoutStore } from '../payouts/payout.store.js';

/** A call is taken to be alive for so long without a sign of it. */
const LEASE_MS = 30_000;

/** Calls one of the host's handlers for one change of a payout, until it has returned once. */
export class DeliverTask {
  private readonly logger = new Logger('AliKassaHandlers');

  constructor(
    private readonly deliveries: DeliveryStore,
    private readonly handlers: HandlerRegistry,
    private readonly store: PayoutStore,
  ) {}

  async run(job: DeliveryJob): Promise<void> {
    const taken = await this.deliveries.take(job, LEASE_MS);
    if (!taken) return;
    const handler = this.handlers.find(job.handler);
    const startedAt = performance.now();
    const failure = handler
      ? await this.call(handler, job, taken)
      : 'no provider of this process has such a method; was it renamed?';
    const attributes = { 'alikassa.handler': job.handler, 'alikassa.outcome': failure === null ? 'ok' : 'failed' };
    annotate({ 'alikassa.payout.id': taken.event.payoutId, ...attributes });
    instruments().handler.record(secondsSince(startedAt), attributes);
    if (failure === null) return this.deliveries.done(job, taken.attempt);
    const afterMs = backoff(taken.attempt);
    this.logger.warn(
      `Handler ${job.handler} failed on event ${job.eventId} of payout ${taken.event.payoutId} ` +
        `(call ${taken.attempt}): ${failure}. It is called again in ${Math.round(afterMs / 1000)} s.`,
    );
    await this.deliveries.postpone(job, taken.attempt, afterMs);
  }

  /** @returns why it failed; null if it did not. */
  private async call(
    handler: PayoutStatusHandler,
    job: DeliveryJob,
    { attempt, event }: TakenDelivery,
  ): Promise<string | null> {
    const renewal = setInterval(() => {
      this.deliveries
        .renew(job, attempt, LEASE_MS)
        .catch((error: Error) => this.logger.warn(`The lease of ${job.handler} was not renewed: ${error.message}`));
    }, LEASE_MS / 3);
    try {
      const { payout } = await this.store.read(event.payoutId);
      const { id, key, revision, fromStatus: from, toStatus: to, createdAt: occurredAt } = event;
      // The version before knows its own events by their number alone: one that it has begun to tell keeps that.
      const eventId = revision === null ? id : (key ?? id);
      await handler({ eventId, from, to, occurredAt, payout });
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : 'it threw what is no Error';
    } finally {
      clearInterval(renewal);
    }
  }
}
