import { StateConflictError } from '../../alikassa.errors.js';
import type { CreatePayoutAnswer, NeverSent, ProviderOutcome } from '../../provider/provider.types.js';
import type { PauseChange } from '../account.pause.js';
import { holding, unanswered, withAlarms } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import type { Evidence } from '../payout.evidence.js';
import { traceOf } from '../payout.facts.js';
import { backoff, nextCheck } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import { FOUND, type Decision, type DecisionPolicy } from './decision.js';
import { idHeard, idsOf, withHeard } from './heard.js';

type Submission = Extract<Evidence, { type: 'submission' }>;
type Accepted = Extract<ProviderOutcome<CreatePayoutAnswer>, { kind: 'ok' }>;

/** Queued, and nothing about it waits for a person; a pause of its account is no reason for one. */
export function isSendable(payout: Pick<Payout, 'status' | 'attention'>): boolean {
  return payout.status === 'queued' && holding(payout.attention).length === 0;
}

/** A worker takes the payout; one that finds its own token has taken it already, and the answer to that was lost. */
export function claim(payout: Payout, token: string, policy: DecisionPolicy, now: Date): Decision | null {
  if (payout.status === 'sending' && payout.attemptToken === token) return null;
  if (!isSendable(payout)) {
    throw new StateConflictError(
      `Payout ${payout.id} is ${payout.status}: only a queued one that no person has to look at is sent.`,
    );
  }
  return {
    to: 'sending',
    set: {
      attempt: payout.attempt + 1,
      attemptToken: token,
      leaseUntil: new Date(now.getTime() + policy.leaseMs),
      attention: [],
    },
    next: null,
    event: { type: 'claimed', detail: {} },
  };
}

/**
 * No connection could be opened, so nothing was claimed: as after an attempt that is proven never sent, but there was none.
 * A payout that an earlier attempt may have sent is asked about rather than tried on and on.
 */
export function unopened(payout: Payout, outcome: NeverSent, policy: DecisionPolicy): Decision | null {
  if (!isSendable(payout)) return null;
  if (!payout.possiblySent)
    return backToQueue({ unsentCount: payout.unsentCount, attention: [] }, traceOf(outcome), policy);
  return {
    to: 'unknown',
    set: { checkCount: 0, refusedAt: null, attention: [] },
    next: nextCheck(0, policy),
    event: { type: 'submission', detail: traceOf(outcome) },
  };
}

/** What became of an attempt. Only the one that holds the payout writes; an acceptance is heard from any. */
export function submission(payout: Payout, evidence: Submission, policy: DecisionPolicy, now: Date): Decision | null {
  const { outcome } = evidence;
  if (payout.status !== 'sending' || !isOf(payout, evidence)) return late(payout, evidence, policy);
  const claimedAt = new Date((payout.leaseUntil ?? now).getTime() - policy.leaseMs);
  const pause = isAnswer(outcome) ? { to: 'lifted' as const, claimedAt } : pauseAfter(outcome, policy);
  const decision = ofOwnAttempt(payout, evidence, policy, now);
  // The attempt is accounted for: heard again, it is none that may still tell something.
  return { ...decision, set: { ...decision.set, attemptToken: null }, pause };
}

/** Whether the evidence is of the attempt that was made last. The version before raises the number and keeps the token. */
function isOf(payout: Payout, { attempt, token }: Submission): boolean {
  return payout.attempt === attempt && payout.attemptToken === token;
}

function ofOwnAttempt(payout: Payout, evidence: Submission, policy: DecisionPolicy, now: Date): Decision {
  const { outcome } = evidence;
  if (outcome.kind === 'ok') return accepted(payout, outcome, evidence.isForeignId === true, policy);
  const unsentTotal = payout.unsentTotal + (outcome.kind === 'never_sent' ? 1 : 0);
  const detail = traceOf(outcome);
  if (outcome.kind === 'never_sent' && !payout.possiblySent) {
    const decision = backToQueue(payout, detail, policy);
    return { ...decision, set: { ...decision.set, unsentTotal } };
  }
  return {
    to: 'unknown',
    set: {
      possiblySent: true,
      unsentTotal,
      checkCount: 0,
      refusedAt: isRefusal(outcome) && !payout.possiblySent ? now : null,
      attention: outcome.kind === 'unauthorized' ? withAlarms(payout.attention, 'unauthorized') : payout.attention,
    },
    next: nextCheck(0, policy, retryAfterOf(outcome)),
    event: {
      type: 'submission',
      detail: outcome.kind === 'refused' ? { ...detail, message: outcome.message, errors: outcome.errors } : detail,
    },
  };
}

/** The provider has it. An id beside one that is known already, or of another payout, calls a person. */
function accepted(payout: Payout, outcome: Accepted, isForeignId: boolean, policy: DecisionPolicy): Decision {
  const { id } = outcome.value;
  const isOther = payout.providerId !== null && payout.providerId !== id;
  const heard = isForeignId ? `provider_id=${id}` : idHeard(id, 'wait');
  return {
    to: isForeignId ? 'unknown' : 'wait',
    set: {
      possiblySent: true,
      unsentCount: 0,
      checkCount: 0,
      ...(isOther || isForeignId
        ? { attention: withAlarms(payout.attention, 'conflict_provider_id'), heard: withHeard(payout.heard, heard) }
        : { providerId: id }),
    },
    next: nextCheck(0, policy),
    event: { type: 'submission', detail: { ...traceOf(outcome), provider_id: id } },
  };
}

/**
 * An attempt that no longer holds the payout writes nothing. That it was accepted is heard all the same, and calls a
 * person where another one may be on its way or the payout has ended.
 */
function late(payout: Payout, evidence: Submission, policy: DecisionPolicy): Decision | null {
  const { outcome } = evidence;
  if (outcome.kind === 'ok') return lateAcceptance(payout, evidence, outcome, policy);
  const isAccountedFor = !isOf(payout, evidence) || payout.status !== 'unknown';
  if (outcome.kind !== 'never_sent' || isAccountedFor) return null;
  return {
    to: 'unknown',
    set: { attemptToken: null, unsentTotal: payout.unsentTotal + 1 },
    next: 'keep',
    event: { type: 'submission', detail: traceOf(outcome) },
  };
}

function lateAcceptance(
  payout: Payout,
  { attempt, isForeignId }: Submission,
  outcome: Accepted,
  policy: DecisionPolicy,
): Decision | null {
  const { id } = outcome.value;
  const heard = isForeignId ? `provider_id=${id}` : idHeard(id, 'wait');
  if (idsOf(payout).has(id) || payout.heard.includes(heard)) return null;
  const event = { type: 'submission', detail: { ...traceOf(outcome), provider_id: id, late_attempt: attempt } };
  const { status, attention } = payout;
  if (payout.providerId === null && !isForeignId && (status === 'unknown' || status === 'queued')) {
    const said = unanswered(attention);
    const set = { ...FOUND, providerId: id, attention: status === 'queued' ? withAlarms(said, 'late_answer') : said };
    return { to: 'wait', set, next: nextCheck(0, policy), event };
  }
  const isSecond = isForeignId === true || payout.providerId !== null;
  const set = {
    attention: withAlarms(attention, isSecond ? 'conflict_provider_id' : 'late_answer'),
    heard: withHeard(payout.heard, heard),
  };
  if (isFinal(status)) return { to: status, set, next: nextCheck(0, policy), event };
  const next = status === 'sending' ? 'keep' : status === 'queued' ? null : nextCheck(0, policy);
  return { to: status, set: { ...set, possiblySent: true }, next, event };
}

export function leaseExpired(payout: Payout, now: Date): Decision | null {
  if (payout.status !== 'sending' || !payout.leaseUntil || payout.leaseUntil > now) return null;
  return {
    to: 'unknown',
    set: { possiblySent: true, checkCount: 0, refusedAt: null },
    next: { task: 'check', afterMs: 0 },
    event: { type: 'lease_expired', detail: {} },
  };
}

/** Proven never sent: tried again later, until that was as often as configured. */
function backToQueue(
  payout: Pick<Payout, 'attention' | 'unsentCount'>,
  detail: Record<string, unknown>,
  policy: DecisionPolicy,
): Decision {
  const unsentCount = payout.unsentCount + 1;
  const isUsedUp = unsentCount >= policy.maxUnsentAttempts;
  const attention = isUsedUp ? withAlarms(payout.attention, 'retries_used_up') : payout.attention;
  return {
    to: 'queued',
    set: { unsentCount, attention },
    next: holding(attention).length === 0 ? { task: 'submit', afterMs: backoff(unsentCount) } : null,
    event: { type: 'submission', detail },
  };
}

/**
 * A refusal leads to `rejected` only if no earlier attempt could have been accepted, and only if it is not for the
 * order_id: one that is taken may well be ours.
 */
function isRefusal(outcome: ProviderOutcome<unknown>): boolean {
  return outcome.kind === 'refused' && !('order_id' in outcome.errors);
}

/** The provider has taken the request up, be it to refuse it: so the account may send. */
function isAnswer({ kind }: ProviderOutcome<unknown>): boolean {
  return kind === 'ok' || kind === 'refused';
}

/** 401, 403 and 429 would meet every further call of the account. */
export function pauseAfter(outcome: ProviderOutcome<unknown>, policy: DecisionPolicy): PauseChange | undefined {
  if (outcome.kind !== 'unauthorized' && outcome.kind !== 'rate_limited') return undefined;
  const retryAfterMs = retryAfterOf(outcome);
  return {
    to: 'paused',
    reason: outcome.kind,
    forMs: retryAfterMs ?? policy.pauseMs,
    isExact: retryAfterMs !== undefined,
  };
}

export function retryAfterOf(outcome: ProviderOutcome<unknown>): number | undefined {
  return outcome.kind === 'rate_limited' ? outcome.retryAfterMs : undefined;
}
