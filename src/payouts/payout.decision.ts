import { StateConflictError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { CreatePayoutAnswer, PayoutStatusAnswer, ProviderOutcome } from '../provider/provider.types.js';
import { notFoundAfterRestore, refuseWhileAskedAbout, restored } from './decision/restored.js';
import { withdrawal } from './decision/withdrawal.js';
import type { PauseChange, PauseReason } from './account.pause.js';
import { isPauseNote, pauseNote } from './pause.note.js';
import type { Payout } from './payout.entity.js';
import type { Evidence, ProviderFacts } from './payout.evidence.js';
import { contradictionIn, factsDetail, factsOf, traceOf } from './payout.facts.js';
import { backoff, jittered, nextCheck, type NextJob } from './payout.schedule.js';
import { isFinal, type PayoutStatus } from './payout.status.js';

/** What one piece of evidence does to one payout. */
export interface Decision {
  to: PayoutStatus;
  /** Columns that change besides the status. */
  set: Partial<Payout>;
  /** Next job; `null`: none is left to do, so what was scheduled lapses; `keep`: what is scheduled stays. */
  next: NextJob | null | 'keep';
  /** Line for the history; `null` for a check that found nothing new. */
  event: { type: string; actor?: string; detail: Record<string, unknown> } | null;
  /** What the evidence says of the account as a whole. */
  pause?: PauseChange;
}

export type DecisionPolicy = Pick<
  ResolvedOptions,
  | 'leaseMs'
  | 'checkSchedule'
  | 'attentionAfterMs'
  | 'rejectAfterNotFound'
  | 'rejectAfterMs'
  | 'onNotFound'
  | 'maxUnsentAttempts'
  | 'maxResubmissions'
  | 'pauseMs'
  | 'confirmNotifications'
>;

/**
 * The payout machine: pure, so that every rule can be read and tested in one place.
 * @param now the database's clock.
 * @returns `null` where the evidence changes nothing.
 * @throws StateConflictError where a person or the worker asks for what the state does not allow.
 */
export function decide(payout: Payout, evidence: Evidence, policy: DecisionPolicy, now: Date): Decision | null {
  switch (evidence.type) {
    case 'claimed':
      return claim(payout, policy, now);
    case 'submission':
      return submission(payout, evidence.attempt, evidence.outcome, policy, now);
    case 'check':
      return attributed(check(payout, evidence.outcome, policy, now), evidence);
    case 'notification':
      return notification(payout, evidence.facts, policy, now);
    case 'lease_expired':
      return leaseExpired(payout, policy, now);
    case 'restored':
      return restored(payout, evidence, policy, now);
    case 'paused':
      return paused(payout, evidence.reason, evidence.afterMs);
    case 'fault':
      return fault(payout, evidence.attention);
    case 'withdrawal':
      return withdrawal(payout, evidence.actor);
    case 'person':
      return person(payout, evidence);
  }
}

/** Queued, and nothing about it waits for a person; a pause of its account is no reason for one. */
export function isSendable(payout: Pick<Payout, 'status' | 'attention'>): boolean {
  return payout.status === 'queued' && (payout.attention === null || isPauseNote(payout.attention));
}

function claim(payout: Payout, policy: DecisionPolicy, now: Date): Decision {
  if (!isSendable(payout)) {
    throw new StateConflictError(
      `Payout ${payout.id} is ${payout.status}: only a queued one that no person has to look at is sent.`,
    );
  }
  return {
    to: 'sending',
    set: { attempt: payout.attempt + 1, leaseUntil: new Date(now.getTime() + policy.leaseMs), attention: null },
    next: null,
    event: { type: 'claimed', detail: {} },
  };
}

function submission(
  payout: Payout,
  attempt: number,
  outcome: ProviderOutcome<CreatePayoutAnswer>,
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  // The fencing token: a late answer of an attempt that has lost its lease changes nothing.
  if (payout.status !== 'sending' || payout.attempt !== attempt) return null;
  const detail = traceOf(outcome);
  const claimedAt = new Date((payout.leaseUntil ?? now).getTime() - policy.leaseMs);
  const pause = isAnswer(outcome) ? { to: 'lifted' as const, claimedAt } : pauseAfter(outcome, policy);
  if (outcome.kind === 'ok') {
    return {
      to: 'wait',
      set: { possiblySent: true, providerId: outcome.value.id, unsentCount: 0, checkCount: 0 },
      next: nextCheck(0, policy),
      event: { type: 'submission', detail: { ...detail, provider_id: outcome.value.id } },
      pause,
    };
  }
  if (outcome.kind === 'never_sent' && !payout.possiblySent) return backToQueue(payout, detail, policy);
  return {
    to: 'unknown',
    set: {
      possiblySent: true,
      checkCount: 0,
      refusedAt: isRefusal(outcome) && !payout.possiblySent ? now : null,
      attention: payout.attention ?? (outcome.kind === 'unauthorized' ? 'unauthorized' : null),
    },
    next: nextCheck(0, policy, retryAfterOf(outcome)),
    event: {
      type: 'submission',
      detail: outcome.kind === 'refused' ? { ...detail, message: outcome.message, errors: outcome.errors } : detail,
    },
    pause,
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
function pauseAfter(outcome: ProviderOutcome<unknown>, policy: DecisionPolicy): PauseChange | undefined {
  if (outcome.kind !== 'unauthorized' && outcome.kind !== 'rate_limited') return undefined;
  const retryAfterMs = retryAfterOf(outcome);
  return {
    to: 'paused',
    reason: outcome.kind,
    forMs: retryAfterMs ?? policy.pauseMs,
    isExact: retryAfterMs !== undefined,
  };
}

function retryAfterOf(outcome: ProviderOutcome<unknown>): number | undefined {
  return outcome.kind === 'rate_limited' ? outcome.retryAfterMs : undefined;
}

function backToQueue(payout: Payout, detail: Record<string, unknown>, policy: DecisionPolicy): Decision {
  const unsentCount = payout.unsentCount + 1;
  // A conflict that was heard meanwhile weighs more than that the network is down.
  const attention = payout.attention ?? (unsentCount >= policy.maxUnsentAttempts ? 'retries_used_up' : null);
  return {
    to: 'queued',
    set: { unsentCount, attention },
    next: attention === null ? { task: 'submit', afterMs: backoff(unsentCount) } : null,
    event: { type: 'submission', detail },
  };
}

function check(
  payout: Payout,
  outcome: ProviderOutcome<PayoutStatusAnswer>,
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  if (outcome.kind === 'ok') {
    return provider(payout, factsOf(outcome.value), 'check', policy, now);
  }
  // Only an open payout that was sent is polled; a failed question about any other one says nothing.
  if (payout.status !== 'wait' && payout.status !== 'unknown') return null;
  if (outcome.kind === 'not_found') {
    const detail = traceOf(outcome);
    return notFoundAfterRestore(payout, detail, policy, now) ?? notFound(payout, detail, policy, now);
  }
  const open = stillOpen(payout, policy, now, retryAfterOf(outcome));
  return { ...open, pause: pauseAfter(outcome, policy) };
}

/** Whoever asked for a check is named with what it changed, and be it only when the next one is due. */
function attributed(
  decision: Decision | null,
  { actor, outcome }: Extract<Evidence, { type: 'check' }>,
): Decision | null {
  if (!decision || actor === undefined) return decision;
  return { ...decision, event: { ...(decision.event ?? { type: 'check', detail: traceOf(outcome) }), actor } };
}

/**
 * "Not found" moves nothing by itself. Only seen as often and as long as configured it ends a refused payout as
 * `rejected`; one that may have been sent waits for a person, or is sent again where the host has chosen that.
 */
function notFound(payout: Payout, detail: Record<string, unknown>, policy: DecisionPolicy, now: Date): Decision {
  const since = payout.notFoundSince ?? now;
  const notFoundCount = payout.notFoundCount + 1;
  const set = { notFoundCount, notFoundSince: since };
  const isConfirmed =
    notFoundCount >= policy.rejectAfterNotFound && now.getTime() - since.getTime() >= policy.rejectAfterMs;
  // Not one with a conflict: the provider has spoken of it, so a person must look first.
  const isMissing = payout.status === 'unknown' && isConfirmed && keptAttention(payout) === null;
  if (isMissing && payout.refusedAt) {
    return { to: 'rejected', set: { ...set, attention: null }, next: null, event: { type: 'check', detail } };
  }
  const maybeSent = payout.attempt - payout.unsentCount;
  const mayResubmit = policy.onNotFound === 'resubmit' && maybeSent < policy.maxResubmissions;
  if (isMissing && mayResubmit) {
    return {
      to: 'queued',
      set: { notFoundCount: 0, notFoundSince: null, attention: null },
      next: { task: 'submit', afterMs: backoff(payout.attempt) },
      event: { type: 'check', detail: { ...detail, resubmit: true } },
    };
  }
  const open = stillOpen(payout, policy, now);
  // Until it is confirmed, ask again in time for the confirmation rather than by the growing schedule.
  const afterMs = payout.refusedAt ? Math.min(open.next.afterMs, policy.rejectAfterMs) : open.next.afterMs;
  const attention = isConfirmed ? (payout.attention ?? 'not_found') : open.set.attention;
  return {
    ...open,
    set: { ...open.set, ...set, attention },
    next: { task: 'check', afterMs },
    event: notFoundCount === 1 || attention !== payout.attention ? { type: 'check', detail } : null,
  };
}

/** A notification's word moves the payout, or where the host does not trust it alone, has the status call asked now. */
function notification(payout: Payout, facts: ProviderFacts, policy: DecisionPolicy, now: Date): Decision | null {
  const decision = provider(payout, facts, 'notification', policy, now);
  if (!policy.confirmNotifications || !decision || decision.to === payout.status) return decision;
  // The attempt's own answer comes first; polling begins with it.
  if (payout.status === 'sending') return null;
  const isQueued = payout.status === 'queued';
  return {
    // What the provider speaks of may have been sent after all: it waits for the status call's word, too.
    to: isQueued ? 'unknown' : payout.status,
    set: isQueued ? { possiblySent: true, attention: decision.set.attention, checkCount: 0 } : { checkCount: 0 },
    next: { task: 'check', afterMs: 0 },
    event: { type: 'notification', detail: { ...factsDetail(facts), to_be_confirmed: true } },
  };
}

/** The provider said what it knows of the payout, by the status call or a notification. */
function provider(
  payout: Payout,
  facts: ProviderFacts,
  source: 'check' | 'notification',
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  const contradiction = contradictionIn(payout, facts);
  if (contradiction) return conflict(payout, contradiction, facts, source, policy, now);
  if (facts.status === 'wait' && (payout.status === 'wait' || isFinal(payout.status))) {
    // A final status stays; an old or reordered "wait" is no evidence against it, unless we had ended it on our own.
    if (payout.status === 'rejected' || payout.status === 'withdrawn') {
      return conflict(payout, 'status', facts, source, policy, now);
    }
    return payout.status === 'wait' && source === 'check' ? stillOpen(payout, policy, now, undefined, facts) : null;
  }
  if (isFinal(payout.status)) {
    return facts.status === payout.status ? null : conflict(payout, 'status', facts, source, policy, now);
  }
  // It may speak of an earlier attempt while this one is on its way; the status call will tell when that is known.
  const isOfEarlier = payout.status === 'sending' && payout.possiblySent;
  if (isOfEarlier && (facts.status === 'cancel' || facts.status === 'fail')) return null;
  const wasNeverSent = (payout.status === 'queued' || Boolean(payout.doubtedAt)) && !payout.possiblySent;
  const isShort = facts.status === 'paid' && facts.isPartialPayment === true;
  return {
    to: facts.status,
    set: {
      possiblySent: true,
      providerId: facts.id,
      paymentAmount: facts.paymentAmount ?? payout.paymentAmount,
      commissionAmount: facts.commissionAmount ?? payout.commissionAmount,
      isPartialPayment: facts.isPartialPayment ?? payout.isPartialPayment,
      notFoundCount: 0,
      notFoundSince: null,
      refusedAt: null,
      checkCount: 0,
      doubtedAt: null,
      attention: wasNeverSent ? 'known_to_provider_before_sent' : isShort ? 'paid_in_part' : keptAttention(payout),
    },
    next: facts.status === 'wait' ? nextCheck(0, policy) : null,
    event: { type: source, detail: factsDetail(facts) },
  };
}

const ANSWERED = new Set(['not_found', 'overdue', 'unauthorized']);

/** Attention that only said "nobody knows yet" is answered by the provider's word; anything else stays for a person. */
function keptAttention(payout: Payout): string | null {
  const { attention } = payout;
  return attention !== null && (ANSWERED.has(attention) || isPauseNote(attention)) ? null : attention;
}

const CONFLICT = 'conflict_';

/** Evidence against what is stored changes no status: it is recorded, and a person is called. */
function conflict(
  payout: Payout,
  about: string,
  facts: ProviderFacts,
  source: 'check' | 'notification',
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  const attention = CONFLICT + about;
  const isNew = payout.attention !== attention;
  const detail = { conflict: about, ...factsDetail(facts) };
  if (payout.status === 'wait' || payout.status === 'unknown') {
    const open = stillOpen(payout, policy, now);
    return { ...open, set: { ...open.set, attention }, event: isNew ? { type: source, detail } : null };
  }
  if (!isNew) return null;
  // A queued payout that the provider seems to know is not sent until a person has looked.
  const next = payout.status === 'queued' ? null : 'keep';
  return { to: payout.status, set: { attention }, next, event: { type: source, detail } };
}

/** Nothing new: the payout stays as it is and is asked about again later. */
function stillOpen(
  payout: Payout,
  policy: DecisionPolicy,
  now: Date,
  notBeforeMs?: number,
  facts?: ProviderFacts,
): Decision & { next: NextJob } {
  const checkCount = payout.checkCount + 1;
  const isOverdue = now.getTime() - payout.createdAt.getTime() > policy.attentionAfterMs;
  const attention = isOverdue && payout.attention === null ? 'overdue' : payout.attention;
  return {
    to: payout.status,
    set: { checkCount, attention, ...(facts ? { providerId: facts.id, notFoundCount: 0, notFoundSince: null } : {}) },
    next: nextCheck(checkCount, policy, notBeforeMs),
    event: attention === payout.attention ? null : { type: 'check', detail: { attention } },
  };
}

function leaseExpired(payout: Payout, policy: DecisionPolicy, now: Date): Decision | null {
  if (payout.status !== 'sending' || !payout.leaseUntil || payout.leaseUntil > now) return null;
  return {
    to: 'unknown',
    set: { possiblySent: true, checkCount: 0, refusedAt: null },
    next: { task: 'check', afterMs: 0 },
    event: { type: 'lease_expired', detail: {} },
  };
}

/** The account is paused: the payout stays queued, says why, and tries again when the pause is over. */
function paused(payout: Payout, reason: PauseReason, afterMs: number): Decision | null {
  if (!isSendable(payout)) return null;
  const attention = pauseNote(reason);
  const event = attention === payout.attention ? null : { type: 'paused', detail: { attention } };
  return { to: 'queued', set: { attention }, next: { task: 'submit', afterMs: jittered(afterMs) }, event };
}

/**
 * A payout that cannot be sent as it is stored is not sent until a person has looked; one that was sent is only marked.
 * What already calls a person stays: a conflict that is written over would let the payout be withdrawn. An attempt under
 * way has read the row; should it come back to the queue, the next one reads it again.
 */
function fault(payout: Payout, attention: string): Decision | null {
  if (payout.status === 'sending' || isFinal(payout.status)) return null;
  if (payout.attention !== null && !isPauseNote(payout.attention)) return null;
  const next = payout.status === 'queued' ? null : 'keep';
  return { to: payout.status, set: { attention }, next, event: { type: 'fault', detail: { attention } } };
}

function person(payout: Payout, evidence: Extract<Evidence, { type: 'person' }>): Decision {
  const { outcome, reason, actor } = evidence;
  const event = { type: 'person', actor, detail: { outcome, reason } };
  const isHeld = payout.status === 'queued' && payout.attention !== null;
  if (outcome === 'resubmit') refuseWhileAskedAbout(payout);
  if (outcome === 'resubmit' && (payout.status === 'unknown' || isHeld)) {
    const set = { attention: null, unsentCount: 0, notFoundCount: 0, notFoundSince: null, refusedAt: null };
    return { to: 'queued', set, next: { task: 'submit', afterMs: 0 }, event };
  }
  const isStuck = payout.status === 'unknown' || (payout.status === 'wait' && payout.attention !== null);
  if (outcome !== 'resubmit' && isStuck) {
    return { to: outcome, set: { attention: null }, next: null, event };
  }
  if (isFinal(payout.status) && payout.status === outcome && payout.attention !== null) {
    // The status was right: the person has looked at the contradiction and closes it.
    return { to: payout.status, set: { attention: null }, next: null, event };
  }
  throw new StateConflictError(
    `Payout ${payout.id} is ${payout.status}${payout.attention ? ` (${payout.attention})` : ''}: ` +
      `"${outcome}" is not open to it. Only an unknown payout, or one held with attention, waits for a person.`,
  );
}
