import type { ProviderOutcome } from '../../provider/provider.types.js';
import { sameAlarms, unanswered, withAlarms } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import { traceOf } from '../payout.facts.js';
import { backoff, followUp, nextCheck, type NextJob } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import { pauseAfter, retryAfterOf } from './attempt.js';
import { maybeSent, type Decision, type DecisionPolicy } from './decision.js';
import { notFoundAfterRestore } from './restored.js';

/** The status call did not tell of the payout: it does not know it, or could not be asked. */
export function unanswerable(
  payout: Payout,
  outcome: ProviderOutcome<unknown>,
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  if (isFinal(payout.status)) return askedAfterEnd(payout, policy);
  // Only an open payout that was sent is polled; a failed question about any other one says nothing.
  if (payout.status !== 'wait' && payout.status !== 'unknown') return null;
  if (outcome.kind === 'not_found') {
    const detail = traceOf(outcome);
    return notFoundAfterRestore(payout, detail, policy, now) ?? notFound(payout, detail, policy, now);
  }
  return { ...stillOpen(payout, policy, now, retryAfterOf(outcome)), pause: pauseAfter(outcome, policy) };
}

/**
 * "Not found" moves nothing by itself. Seen as often and as long as configured it ends a refused payout as `rejected`, and
 * sends again what never left; one that may have been sent waits for a person, or is sent again where the host has chosen
 * that.
 */
function notFound(payout: Payout, detail: Record<string, unknown>, policy: DecisionPolicy, now: Date): Decision {
  const since = payout.notFoundSince ?? now;
  const notFoundCount = payout.notFoundCount + 1;
  const set = { notFoundCount, notFoundSince: since };
  const isConfirmed =
    notFoundCount >= policy.rejectAfterNotFound && now.getTime() - since.getTime() >= policy.rejectAfterMs;
  // Not one with a conflict or an id: the provider has spoken of it, so a person must look first.
  const hasSpoken = unanswered(payout.attention).length > 0 || payout.providerId !== null || payout.heard.length > 0;
  const isMissing = payout.status === 'unknown' && isConfirmed && !hasSpoken;
  if (isMissing && payout.refusedAt) {
    return {
      to: 'rejected',
      set: { ...set, attention: [], endedBy: 'confirmed_absence', checkCount: 0 },
      next: followUp(0, policy),
      event: { type: 'check', detail },
    };
  }
  const why = isMissing ? whySentAgain(payout, policy) : null;
  if (why) {
    return {
      to: 'queued',
      set: { notFoundCount: 0, notFoundSince: null, attention: [] },
      next: { task: 'submit', afterMs: backoff(payout.attempt) },
      event: { type: 'check', detail: { ...detail, ...why } },
    };
  }
  const open = stillOpen(payout, policy, now);
  // Until it is confirmed, ask again in time for the confirmation rather than by the growing schedule.
  const afterMs = payout.refusedAt ? Math.min(open.next.afterMs, policy.rejectAfterMs) : open.next.afterMs;
  const attention = isConfirmed ? withAlarms(open.set.attention, 'not_found') : open.set.attention;
  const isNew = notFoundCount === 1 || !sameAlarms(attention, payout.attention);
  return {
    to: payout.status,
    set: { ...open.set, ...set, attention },
    next: { task: 'check', afterMs },
    event: isNew ? { type: 'check', detail } : null,
  };
}

/** Null where the payout waits for a person. */
function whySentAgain(payout: Payout, policy: DecisionPolicy): Record<string, true> | null {
  if (maybeSent(payout) === 0) return { never_sent: true };
  return policy.onNotFound === 'resubmit' && maybeSent(payout) < policy.maxResubmissions ? { resubmit: true } : null;
}

/** Nothing new: the payout stays as it is and is asked about again later. */
export function stillOpen(
  payout: Payout,
  policy: DecisionPolicy,
  now: Date,
  notBeforeMs?: number,
): Decision & { next: NextJob; set: Pick<Payout, 'attention' | 'checkCount'> } {
  const checkCount = payout.checkCount + 1;
  const isOverdue = now.getTime() - payout.createdAt.getTime() > policy.attentionAfterMs;
  const isNew = isOverdue && payout.attention.length === 0;
  return {
    to: payout.status,
    set: { checkCount, attention: isNew ? ['overdue'] : payout.attention },
    next: nextCheck(checkCount, policy, notBeforeMs),
    event: isNew ? { type: 'check', detail: { attention: 'overdue' } } : null,
  };
}

/** A final payout whose end is not the provider's word is asked about for days yet, ever more seldom. */
export function askedAfterEnd(payout: Payout, policy: DecisionPolicy): Decision | null {
  if (payout.dueAt === null) return null;
  const checkCount = payout.checkCount + 1;
  return { to: payout.status, set: { checkCount }, next: followUp(checkCount, policy), event: null };
}
