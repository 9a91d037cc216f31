import { createHash } from 'node:crypto';
import {
  InvalidInputError,
  ProviderUnavailableError,
  RevisionRequiredError,
  StaleRevisionError,
  StateConflictError,
} from '../alikassa.errors.js';
import type { AliKassaClient } from '../provider/provider.client.js';
import type { PayoutStatusAnswer, ProviderOutcome } from '../provider/provider.types.js';
import { hasConflict } from './attention.js';
import { questionsFor } from './decision/heard.js';
import { PayoutEventDto, ResolvePayoutDto } from './payout.dto.js';
import type { Payout } from './payout.entity.js';
import type { Asked, Evidence } from './payout.evidence.js';
import { contradictionIn, factsOf } from './payout.facts.js';
import type { PayoutStore } from './payout.store.js';
import { validated } from './payout.validation.js';

/** Who asks: kept in the payout's events. */
export interface Caller {
  actor?: string | undefined;
}

/** What a person's decision carries. */
export interface DecisionOptions extends Caller {
  /** `revision` of the payout that the person saw; a decision on another one is refused. */
  revision: number;
}

/** What a question may carry. */
export interface RefreshOptions extends Caller {
  /** `revision` of the payout that was seen; if given and the payout has changed since, nothing is asked. */
  revision?: number | undefined;
}

/** What people do to single payouts: ask the provider, take one back, decide. */
export class PayoutOperations {
  constructor(
    private readonly store: PayoutStore,
    private readonly client: AliKassaClient,
  ) {}

  /** As `PayoutService.refresh`. */
  async refresh(id: string, { revision, actor }: RefreshOptions): Promise<Payout> {
    const { payout } = await this.store.read(id);
    if (revision !== undefined && checkedRevision(revision) !== payout.revision) {
      throw await this.explained(new StaleRevisionError(id, revision, payout.revision));
    }
    const outcomes = await this.ask(payout);
    let settled = payout;
    for (const outcome of outcomes) {
      settled = (await this.store.settle(id, { type: 'check', outcome, actor })).payout;
    }
    const [own] = outcomes;
    if (own && own.kind !== 'ok' && own.kind !== 'not_found') throw noAnswer('the status', own);
    return settled;
  }

  /** As `PayoutService.withdraw`. */
  async withdraw(id: string, { revision, actor }: Partial<DecisionOptions> = {}): Promise<Payout> {
    const seen = checkedRevision(revision);
    const decision = decisionId(id, seen, ['withdraw', actor]);
    return this.decide(id, { type: 'withdrawal', decision, revision: seen, actor });
  }

  /** As `PayoutService.resolve`. */
  async resolve(
    id: string,
    input: ResolvePayoutDto,
    { revision, actor }: Partial<DecisionOptions> = {},
  ): Promise<Payout> {
    const { outcome, reason, attention, unasked } = validated(ResolvePayoutDto, input);
    const seen = checkedRevision(revision);
    const decision = decisionId(id, seen, [outcome, reason, attention, unasked, actor]);
    const decided = { type: 'person', decision, revision: seen, actor, reason } as const;
    if (outcome === 'acknowledge') {
      if (!attention) throw new InvalidInputError(['attention must name the alarms to close']);
      return this.decide(id, { ...decided, outcome, alarms: attention });
    }
    if (attention) throw new InvalidInputError(['attention is for the outcome "acknowledge" alone']);
    const { payout } = await this.store.read(id);
    const mayBeKnown = payout.attempt > 0 || hasConflict(payout.attention);
    // A stale decision is refused or found done without a question to the provider.
    const isAsked = outcome !== 'paid' && payout.revision === seen && mayBeKnown;
    try {
      const asked = isAsked ? await this.askedBefore(payout, outcome, unasked === true) : {};
      return await this.decide(id, { ...decided, outcome, ...asked });
    } catch (error) {
      // The same words may have been carried out while this call's question was on its way.
      const isRefused = error instanceof StateConflictError || error instanceof ProviderUnavailableError;
      if (!isRefused || !(await this.store.isMade(id, decision))) throw error;
      return (await this.store.read(id)).payout;
    }
  }

  /**
   * The provider's word right before a decision against it.
   * @throws StateConflictError where it knows the order, and what it says has been settled; ProviderUnavailableError where it
   * cannot be asked, and the person does not say so.
   */
  private async askedBefore(payout: Payout, outcome: 'resubmit' | 'fail', isUnasked: boolean): Promise<Asked> {
    const outcomes = await this.ask(payout);
    const failures: string[] = [];
    let isAnothers = false;
    for (const answer of outcomes) {
      if (answer.kind !== 'ok') continue;
      const settled = (await this.store.settle(payout.id, { type: 'check', outcome: answer })).payout;
      const { payment_status: said } = answer.value;
      if (outcome === 'fail' && isOfAnother(settled, answer.value)) {
        isAnothers = true;
        continue;
      }
      const agrees = outcome === 'fail' && (said === 'fail' || said === 'cancel');
      if (!agrees || settled.settledAt !== null) {
        throw new StateConflictError(
          `The provider was asked and knows the order of payout ${payout.id} as ${said}: the payout is ${settled.status} now, ` +
            `and "${outcome}" was not carried out. Look at it again.`,
        );
      }
      failures.push(said);
    }
    if (failures.length > 0) return { asked: failures.join(', ') };
    if (isAnothers) return this.askedOfAnother(payout, isUnasked);
    const silent = outcomes.find(({ kind }) => kind !== 'not_found');
    if (!silent) return { asked: 'not_found' };
    if (isUnasked) return { asked: silent.reason, unasked: true };
    throw new ProviderUnavailableError(
      `The provider could not be asked about payout ${payout.id} (${silent.reason}), so "${outcome}" was not carried out. ` +
        'Repeat it later, or with unasked: true if the provider has told you by another way.',
    );
  }

  /** The order_id is another's: what the provider says by it is not about this payout, which only its support can tell of. */
  private askedOfAnother({ id }: Payout, isUnasked: boolean): Asked {
    if (isUnasked) return { asked: 'of_another', unasked: true };
    throw new StateConflictError(
      `The provider was asked about payout ${id} and speaks of another one, so "fail" was not carried out. ` +
        'Repeat it with unasked: true if it has told you by another way that it does not have this one.',
    );
  }

  private async ask(payout: Payout): Promise<ProviderOutcome<PayoutStatusAnswer>[]> {
    const outcomes: ProviderOutcome<PayoutStatusAnswer>[] = [];
    for (const key of questionsFor(payout)) outcomes.push(await this.client.payoutStatus(payout.account, key));
    return outcomes;
  }

  private async decide(id: string, evidence: Evidence): Promise<Payout> {
    try {
      return (await this.store.settle(id, evidence)).payout;
    } catch (error) {
      throw error instanceof StaleRevisionError ? await this.explained(error) : error;
    }
  }

  /** Adds what has happened since the revision that was seen. */
  private async explained({ payoutId, seen, revision }: StaleRevisionError): Promise<StaleRevisionError> {
    const events = await this.store.events(payoutId, seen);
    const words = events.map(({ type, fromStatus, toStatus }) =>
      fromStatus === toStatus ? `${type} (${toStatus})` : `${type} (${fromStatus} -> ${toStatus})`,
    );
    const since = words.length > 0 ? `: ${words.join(', ')}` : '';
    return new StaleRevisionError(
      payoutId,
      seen,
      revision,
      events.map((event) => PayoutEventDto.from(event)),
      since,
    );
  }
}

/** Whether an answer is about a payment that cannot be this payout's. */
function isOfAnother(payout: Payout, answer: PayoutStatusAnswer): boolean {
  if (payout.providerId === answer.id) return false;
  const isForeignId = payout.heard.includes(`provider_id=${answer.id}`);
  return isForeignId || contradictionIn(payout, factsOf(answer)) !== null;
}

export function noAnswer(what: string, outcome: ProviderOutcome<unknown>): ProviderUnavailableError {
  const hint =
    outcome.kind === 'unauthorized' ? 'check the account, the payout key and the digest' : 'ask again in a while';
  return new ProviderUnavailableError(`The provider did not tell ${what} (${outcome.reason}); ${hint}.`);
}

/** @throws RevisionRequiredError, InvalidInputError */
function checkedRevision(revision: number | undefined): number {
  if (revision === undefined) {
    throw new RevisionRequiredError(
      'The revision of the payout that was seen is required: by REST as If-Match, the ETag of the payout.',
    );
  }
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new InvalidInputError(['revision must be the revision of the payout that was seen, a whole number']);
  }
  return revision;
}

/** Made of the decision itself: the same words about the same revision are one decision, however often they are sent. */
function decisionId(payoutId: string, revision: number, words: readonly unknown[]): string {
  const hex = createHash('sha256')
    .update(JSON.stringify([payoutId, revision, ...words]))
    .digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
