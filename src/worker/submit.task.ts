import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { AliKassaError, RecipientUnreadableError, StateConflictError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { isSendable } from '../payouts/payout.decision.js';
import type { Payout } from '../payouts/payout.entity.js';
import { callAttributes, instruments } from '../instrumentation/instruments.js';
import { annotate } from '../instrumentation/spans.js';
import type { Evidence } from '../payouts/payout.evidence.js';
import type { PayoutSnapshot } from '../payouts/payout.snapshot.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import { bodyToSend } from '../payouts/recipient.body.js';
import type { RecipientCipher } from '../payouts/recipient.cipher.js';
import type { AliKassaClient, SignedRequest } from '../provider/provider.client.js';
import type { Transport } from '../provider/transport.js';
import type { DispatchGate } from './dispatch.gate.js';
import { Stopwatch } from './stopwatch.js';

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
    const reading = new Stopwatch();
    const found = await this.store.readToSend(payoutId);
    if (!found || !isSendable(found.known.payout)) return;
    const { known, pause } = found;
    const { payout } = known;
    annotate({ 'alikassa.payout.id': payout.id });
    const closed = await this.gate.check(payout.account, pause);
    if (closed) return void (await this.store.settle(payoutId, { type: 'paused', ...closed }, { known }));
    const body = await this.bodyOf(payout);
    if (body === null) return;
    // Signed and connected before the claim: a key that fails must not leave the payout looking sent, and after the claim
    // only the write is left.
    const connecting = this.client.connect();
    const signing = this.client.signPayout(payout.account, body);
    // It may fail before it is waited for.
    signing.catch(() => undefined);
    const transport = await connecting;
    try {
      await this.submit(known, await signing, transport, reading);
    } finally {
      transport.close();
    }
  }

  private async submit(
    known: PayoutSnapshot,
    request: SignedRequest,
    transport: Transport,
    reading: Stopwatch,
  ): Promise<void> {
    const { id, orderId } = known.payout;
    if (transport.failure) return this.record(known, { type: 'unopened', outcome: transport.failure });
    // The call must end within the lease. That begins when the payout was read, or is read anew: what was read long ago
    // does not know the database's time any more.
    const spareMs = this.options.leaseMs - this.options.timeoutMs;
    const isFresh = reading.elapsedMs < spareMs / 2;
    const holding = isFresh ? reading : new Stopwatch();
    const token = randomUUID();
    const claimed = await this.claim(id, token, isFresh ? known : undefined);
    if (!claimed) return;
    const { attempt } = claimed.payout;
    const outcome = await this.client.submitPayout(request, orderId, {
      transport,
      isLate: () => holding.elapsedMs > spareMs,
    });
    if (outcome.reason === 'lease_over') {
      this.logger.warn(`Payout ${id}: attempt ${attempt} was held up past its lease and was not sent.`);
    }
    await this.record(claimed, { type: 'submission', attempt, token, outcome });
  }

  private async record(
    known: PayoutSnapshot,
    evidence: Extract<Evidence, { type: 'submission' | 'unopened' }>,
  ): Promise<void> {
    const { payout } = known;
    const { outcome } = evidence;
    const attributes = callAttributes(payout, outcome);
    annotate({ 'alikassa.payout.attempt': payout.attempt, ...attributes });
    instruments().submission.record(outcome.durationMs / 1000, attributes);
    const { payout: settled, changed } = await this.store.settle(payout.id, evidence, { known });
    this.logger.debug(
      `Payout ${payout.id}: attempt ${payout.attempt} ${outcome.kind} (${outcome.reason}), ${changed ? 'now' : 'still'} ${settled.status}`,
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
  private async claim(id: string, token: string, known: PayoutSnapshot | undefined): Promise<PayoutSnapshot | null> {
    try {
      return (await this.store.claim(id, token, known)).known;
    } catch (error) {
      if (error instanceof StateConflictError) return null;
      throw error instanceof AliKassaError ? error : new Error('The claim failed.', { cause: error });
    }
  }
}
