import { StateConflictError } from '../../alikassa.errors.js';
import { hasConflict, unanswered, withoutAlarms } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import type { Evidence } from '../payout.evidence.js';
import { nextCheck } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import type { Decision, DecisionPolicy } from './decision.js';

/**
 * Whether a decision takes it that the provider has nothing of the payout, on our own records or a person's word. It holds
 * only while those records are whole, which the statement that writes it checks.
 */
export function reliesOnOwnRecords(payout: Payout, { to, event }: Pick<Decision, 'to' | 'event'>): boolean {
  if (to === payout.status) return false;
  return to === 'sending' || to === 'withdrawn' || to === 'rejected' || (to === 'fail' && event?.type === 'person');
}

/**
 * Whether an attempt was made that the row does not know: it has fewer, or another claim made its latest one. Then the
 * database went back behind it.
 */
export function isLostAttempt(payout: Payout, { attempt, token }: Extract<Evidence, { type: 'submission' }>): boolean {
  if (payout.attempt !== attempt) return payout.attempt < attempt;
  return payout.status === 'sending' && payout.attemptToken !== token;
}

/**
 * The database went back, so that what is stored may be older than what was done. Nothing is believed to be unsent until the
 * provider was asked; "not found" from before says nothing any more.
 */
export function restored(
  payout: Payout,
  { epoch, afterMs, isSent = false }: Extract<Evidence, { type: 'restored' }>,
  policy: Pick<DecisionPolicy, 'leaseMs'>,
  now: Date,
): Decision | null {
  if (isFinal(payout.status)) return null;
  if (payout.status === 'sending') {
    const leftMs = (payout.leaseUntil?.getTime() ?? 0) - now.getTime();
    // Its attempt may be under way and end as usual. A lease that no claim of ours gives was made by another clock.
    if (leftMs > 0 && leftMs <= policy.leaseMs) {
      if (!isSent || payout.possiblySent) return null;
      const event = { type: 'restored', detail: { epoch } };
      return { to: 'sending', set: { possiblySent: true }, next: 'keep', event };
    }
  } else if (payout.status !== 'queued' && payout.epoch === epoch && !isSent) {
    return null;
  }
  const isDoubted = payout.status === 'queued' && !isSent;
  return {
    to: payout.status === 'wait' ? 'wait' : 'unknown',
    set: {
      epoch,
      checkCount: 0,
      notFoundCount: 0,
      notFoundSince: null,
      ...(payout.attention.includes('not_found') ? { attention: withoutAlarms(payout.attention, ['not_found']) } : {}),
      ...(isDoubted ? { doubtedAt: now } : {}),
      ...(isSent || payout.status === 'sending' ? { possiblySent: true, doubtedAt: null } : {}),
      ...(payout.status === 'sending' ? { refusedAt: null } : {}),
    },
    next: { task: 'check', afterMs },
    event: { type: 'restored', detail: { epoch } },
  };
}

/**
 * The provider does not have a payout that was queued when the database went back. Confirmed as often and as long as
 * configured it is queued again, and may be sent or withdrawn; until then it is asked about once more.
 * @returns null where that is not so: the usual rules hold.
 */
export function notFoundAfterRestore(
  payout: Payout,
  detail: Record<string, unknown>,
  policy: Pick<DecisionPolicy, 'checkSchedule' | 'rejectAfterNotFound' | 'rejectAfterMs'>,
  now: Date,
): Decision | null {
  if (!isAskedAbout(payout)) return null;
  const since = payout.notFoundSince ?? now;
  const notFoundCount = payout.notFoundCount + 1;
  const leftMs = since.getTime() + policy.rejectAfterMs - now.getTime();
  if (notFoundCount >= policy.rejectAfterNotFound && leftMs <= 0) {
    const attention = unanswered(payout.attention);
    return {
      to: 'queued',
      set: { notFoundCount: 0, notFoundSince: null, checkCount: 0, doubtedAt: null, attention },
      next: attention.length === 0 ? { task: 'submit', afterMs: 0 } : null,
      event: { type: 'check', detail: { ...detail, queued_again: true } },
    };
  }
  const { afterMs } = nextCheck(payout.checkCount, policy);
  return {
    to: 'unknown',
    set: { notFoundCount, notFoundSince: since, checkCount: payout.checkCount + 1 },
    // No later than it can be confirmed: until then it waits for nothing else.
    next: { task: 'check', afterMs: leftMs > 0 ? Math.min(afterMs, leftMs) : afterMs },
    event: notFoundCount === 1 ? { type: 'check', detail } : null,
  };
}

/** @throws StateConflictError while the provider is asked whether it has a payout that was queued. */
export function refuseWhileAskedAbout(payout: Payout): void {
  if (!isAskedAbout(payout)) return;
  throw new StateConflictError(
    `Payout ${payout.id} is being asked about, since the database went back: it is queued again by itself when the ` +
      'provider does not have it; withdraw it then.',
  );
}

/**
 * Whether the payout was queued when the database went back, and goes out by itself unless the provider has it. With a
 * conflict the provider has spoken of it: then a person must look first.
 */
function isAskedAbout({ status, doubtedAt, attention, heard }: Payout): boolean {
  return status === 'unknown' && doubtedAt !== null && !hasConflict(attention) && heard.length === 0;
}
