import { Logger } from '@nestjs/common';
import { callAttributes, instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import { questionsFor, type Question } from '../payouts/decision/heard.js';
import type { Payout } from '../payouts/payout.entity.js';
import { isFinal } from '../payouts/payout.status.js';
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
    const isFollowed = isFinal(payout.status) && payout.dueAt !== null;
    if (payout.status !== 'wait' && payout.status !== 'unknown' && !isFollowed) return;
    const [own, ...others] = questionsFor(payout);
    await this.ask(payout, own);
    for (const other of others) await this.ask(payout, other, true);
  }

  /** @param isFurther of an id that is known: only what the provider says of it counts. */
  private async ask(payout: Payout, key: Question, isFurther = false): Promise<void> {
    const askedAt = performance.now();
    const outcome = await this.client.payoutStatus(payout.account, key);
    const attributes = callAttributes(payout, outcome);
    annotate({ 'alikassa.payout.id': payout.id, ...attributes });
    instruments().check.record(secondsSince(askedAt), attributes);
    if (isFurther && outcome.kind !== 'ok') return;
    const { payout: settled } = await this.store.settle(payout.id, { type: 'check', outcome });
    this.logger.debug(`Payout ${payout.id}: check ${outcome.kind} (${outcome.reason}), ${settled.status}`);
  }
}
