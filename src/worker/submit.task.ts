import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { AliKassaError, RecipientUnreadableError, StateConflictError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { isSendable } from '../payouts/payout.decision.js';
import type { Payout } from '../payouts/payout.entity.js';
import { callAttributes, instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import type { PayoutSnapshot } from '../payouts/payout.snapshot.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import { bodyToSend } from '../payouts/recipient.body.js';
import type { RecipientCipher } from '../payouts/recipient.cipher.js';
import type { AliKassaClient } from '../provider/provider.client.js';
import type { DispatchGate } from './dispatch.gate.js';

/** Sends one payout, at most once per claim. */
export class SubmitTask {
  private readonly logger = new Logger('AliKassaSubmit');

  constructor(
    private readonly store: PayoutStore,
    private readonly cipher: RecipientCipher,
    private readonly client: AliKassaClient,
    private readonly gate: DispatchGate,
    private readonly options: ResolvedOptions,
  ) {}

  async run(payoutId: string): Promise<void> {
    const found = await this.store.readToSend(payoutId);
    if (!found || !isSendable(found.known.payout)) return;
    const { known, pause } = found;
    const { payout } = known;
    annotate({ 'alikassa.payout.id': payout.id });
    const closed = await this.gate.check(payout.account, pause);
    if (closed) return void (await this.store.settle(payoutId, { type: 'paused', ...closed }, { known }));
    const body = await this.bodyOf(payout);
    if (body === null) return;
    // Signed before the claim: a key that fails must not leave the payout looking sent.
    const request = await this.client.signPayout(payout.account, body);
    const startedAt = performance.now();
    const token = randomUUID();
    const claimed = await this.claim(known, token);
    if (!claimed) return;
    const { attempt } = claimed.payout;
    // A process that was stopped meanwhile may have lost its lease: then it must not send any more.
    if (performance.now() - startedAt > this.options.leaseMs - this.options.timeoutMs) {
      this.logger.warn(`Payout ${payoutId}: attempt ${attempt} was held up past its lease and was not sent.`);
      return;
    }
    const sentAt = performance.now();
    const outcome = await this.client.submitPayout(request, payout.orderId);
    const attributes = callAttributes(payout, outcome);
    annotate({ 'alikassa.payout.attempt': attempt, ...attributes });
    instruments().submission.record(secondsSince(sentAt), attributes);
    const { payout: settled, changed } = await this.store.settle(
      payoutId,
      { type: 'submission', attempt, token, outcome },
      { known: claimed },
    );
    this.logger.debug(
      `Payout ${payoutId}: attempt ${attempt} ${outcome.kind} (${outcome.reason}), ${changed ? 'now' : 'still'} ${settled.status}`,
    );
  }

  /** The text to sign and send; null where the row cannot be read back or was changed: a person must look at it. */
  private async bodyOf(payout: Payout): Promise<string | null> {
    try {
      return bodyToSend(payout, this.cipher);
    } catch (error) {
      if (!(error instanceof RecipientUnreadableError)) throw error;
      this.logger.error(error.message);
      await this.store.settle(payout.id, { type: 'fault', attention: 'recipient_unreadable' });
      return null;
    }
  }

  /** The payout as it was claimed, or null where another worker or a withdrawal came first. */
  private async claim(known: PayoutSnapshot, token: string): Promise<PayoutSnapshot | null> {
    try {
      return (await this.store.claim(known.payout.id, token, known)).known;
    } catch (error) {
      if (error instanceof StateConflictError) return null;
      throw error instanceof AliKassaError ? error : new Error('The claim failed.', { cause: error });
    }
  }
}
