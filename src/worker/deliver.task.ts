import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import { instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import type { DeliveryStore, TakenDelivery } from '../payouts/delivery.store.js';
import { EVERY_HANDLER, type HandlerRegistry, type PayoutStatusHandler } from '../payouts/handler.registry.js';
import type { DeliveryJob } from '../payouts/payout.queue.js';
import { backoff } from '../payouts/payout.schedule.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import { remembered } from '../payouts/remembered.js';
import { HandlerPlaces } from './handler.places.js';

/** A call is taken to be alive for so long without a sign of it. */
const LEASE_MS = 30_000;
/** A call that takes longer gives its job's place back, so that slow handlers hold up no payout. */
const PATIENCE_MS = 100;
/** From here on a call is told of as one that hangs, though it still has time. */
const SLOW_MS = 10_000;

/** What a call that has exceeded its time has come to. */
const HANGS = Symbol('hangs');
/** Of a call: why it failed, null if it did not. */
type Outcome = string | null | typeof HANGS;

interface Call {
  job: DeliveryJob;
  places: HandlerPlaces;
  startedAt: number;
  /** Takes it for one that hangs, whatever time it has left. */
  giveUp(): void;
}

/** Calls one of the host's handlers for one change of a payout, until it has returned once. */
export class DeliverTask {
  private readonly logger = new Logger('AliKassaHandlers');
  private readonly places = new Map<string, HandlerPlaces>();
  private readonly calls = new Map<Call, Promise<void>>();

  constructor(
    private readonly deliveries: DeliveryStore,
    private readonly handlers: HandlerRegistry,
    private readonly store: PayoutStore,
    private readonly options: Pick<ResolvedOptions, 'worker'>,
  ) {}

  /** Ends with the call, or where that takes long, before it: then the call goes on by itself. */
  async run(job: DeliveryJob): Promise<void> {
    const { concurrency, handlerTimeoutMs } = this.options.worker;
    const places = remembered(this.places, job.handler, () => new HandlerPlaces(concurrency, handlerTimeoutMs));
    const startedAt = performance.now();
    if (!places.take(startedAt)) return this.deliveries.putOff(job, places.putOff(startedAt));
    const call: Call = { job, places, startedAt, giveUp: () => undefined };
    const ended = this.deliver(call).finally(() => this.calls.delete(call));
    this.calls.set(call, ended);
    let isSlow = false;
    // A fault of the database that comes later has no job to tell; the sweep finds the call that is still owed.
    ended.catch(
      (error: Error) => isSlow && this.logger.warn(`A call of ${job.handler} was not noted: ${error.message}`),
    );
    await Promise.race([ended, sleep(PATIENCE_MS, undefined, { ref: false }).then(() => (isSlow = true))]);
  }

  /** Calls of each handler that hang: they have exceeded their time, or have taken long already. */
  get hanging(): ReadonlyMap<string, number> {
    const found = new Map([...this.places].map(([handler, { hanging }]) => [handler, hanging]));
    const since = performance.now() - SLOW_MS;
    for (const { job, startedAt } of this.calls.keys()) {
      if (startedAt < since) found.set(job.handler, (found.get(job.handler) ?? 0) + 1);
    }
    return new Map([...found].filter(([, count]) => count > 0));
  }

  /** Ends the calls under way, which have so much time left; what has not returned then is owed on. */
  async drain(ms: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const call of this.calls.keys()) call.giveUp();
    }, ms);
    await Promise.allSettled(this.calls.values());
    clearTimeout(timer);
  }

  private async deliver(call: Call): Promise<void> {
    const { job, places } = call;
    let free = (): void => places.free();
    try {
      const taken = await this.deliveries.take(job, LEASE_MS);
      if (!taken) return;
      if (job.handler === EVERY_HANDLER) {
        return await this.deliveries.spread(job, taken.attempt, this.handlers.namesFor(taken.event.toStatus));
      }
      const handler = this.handlers.find(job.handler);
      const startedAt = performance.now();
      const outcome = handler
        ? await this.call(handler, call, taken)
        : 'no provider of this process has such a method; was it renamed?';
      if (outcome === HANGS) free = () => undefined;
      if (outcome === null) places.works();
      await this.note(job, taken, outcome, startedAt);
    } finally {
      free();
    }
  }

  private async note(
    job: DeliveryJob,
    { attempt, event }: TakenDelivery,
    outcome: Outcome,
    startedAt: number,
  ): Promise<void> {
    const kind = outcome === null ? 'ok' : outcome === HANGS ? 'hung' : 'failed';
    const attributes = { 'alikassa.handler': job.handler, 'alikassa.outcome': kind };
    annotate({ 'alikassa.payout.id': event.payoutId, ...attributes });
    instruments().handler.record(secondsSince(startedAt), attributes);
    if (outcome === null) return this.deliveries.done(job, attempt);
    const afterMs = backoff(attempt);
    const seconds = Math.round(secondsSince(startedAt));
    const failure = outcome === HANGS ? `it hangs, and has not returned for ${seconds} s` : outcome;
    this.logger.warn(
      `Handler ${job.handler} failed on event ${job.eventId} of payout ${event.payoutId} ` +
        `(call ${attempt}): ${failure}. It is called again in ${Math.round(afterMs / 1000)} s.`,
    );
    await this.deliveries.postpone(job, attempt, afterMs);
  }

  private async call(handler: PayoutStatusHandler, call: Call, { attempt, event }: TakenDelivery): Promise<Outcome> {
    const { job } = call;
    const renewal = setInterval(() => {
      this.deliveries
        .renew(job, attempt, LEASE_MS)
        .catch((error: Error) => this.logger.warn(`The lease of ${job.handler} was not renewed: ${error.message}`));
    }, LEASE_MS / 3);
    const { handlerTimeoutMs } = this.options.worker;
    let timer: NodeJS.Timeout | undefined;
    try {
      const { payout } = await this.store.read(event.payoutId);
      const { id, key, revision, fromStatus: from, toStatus: to, createdAt: occurredAt } = event;
      // The version before knows its own events by their number alone: one that it has begun to tell keeps that.
      const eventId = revision === null ? id : (key ?? id);
      const returned = (async () => handler({ eventId, from, to, occurredAt, payout }))();
      const tooLate = new Promise<typeof HANGS>((hangs) => {
        timer = setTimeout(hangs, handlerTimeoutMs, HANGS);
        call.giveUp = () => hangs(HANGS);
      });
      if ((await Promise.race([returned, tooLate])) !== HANGS) return null;
      void this.waitFor(returned, call);
      return HANGS;
    } catch (error) {
      return error instanceof Error ? error.message : 'it threw what is no Error';
    } finally {
      clearTimeout(timer);
      clearInterval(renewal);
    }
  }

  /** A call that has exceeded its time may return all the same; then it is not owed any more. */
  private async waitFor(returned: Promise<unknown>, { job, places }: Call): Promise<void> {
    const ended = places.hangs(performance.now());
    try {
      await returned.finally(ended);
      places.works();
      await this.deliveries.doneLate(job);
    } catch (error) {
      this.logger.warn(`Handler ${job.handler} failed late on event ${job.eventId}: ${(error as Error)?.message}.`);
    }
  }
}
