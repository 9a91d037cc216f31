import type { NeverSent } from '../provider/provider.types.js';
import { isPauseNote } from './pause.note.js';
import type { Decision, DecisionPolicy } from './payout.decision.js';
import type { Payout } from './payout.entity.js';
import { traceOf } from './payout.facts.js';
import { backoff, nextCheck } from './payout.schedule.js';

/** Queued, and nothing about it waits for a person; a pause of its account is no reason for one. */
export function isSendable(payout: Pick<Payout, 'status' | 'attention'>): boolean {
  return payout.status === 'queued' && (payout.attention === null || isPauseNote(payout.attention));
}

/**
 * No connection could be opened, so nothing was claimed: as after an attempt that is proven never sent, but there was none.
 * A payout that an earlier attempt may have sent is asked about rather than tried on and on.
 */
export function unopened(payout: Payout, outcome: NeverSent, policy: DecisionPolicy): Decision | null {
  if (!isSendable(payout)) return null;
  if (!payout.possiblySent) return backToQueue(payout, traceOf(outcome), policy, null);
  return {
    to: 'unknown',
    set: { checkCount: 0, refusedAt: null, attention: null },
    next: nextCheck(0, policy),
    event: { type: 'submission', detail: traceOf(outcome) },
  };
}

/** The payout is tried again after a while; if that was tried too often, a person is called. */
export function backToQueue(
  payout: Payout,
  detail: Record<string, unknown>,
  policy: DecisionPolicy,
  heard = payout.attention,
): Decision {
  const unsentCount = payout.unsentCount + 1;
  // A conflict that was heard meanwhile weighs more than that the network is down.
  const attention = heard ?? (unsentCount >= policy.maxUnsentAttempts ? 'retries_used_up' : null);
  return {
    to: 'queued',
    set: { unsentCount, attention },
    next: attention === null ? { task: 'submit', afterMs: backoff(unsentCount) } : null,
    event: { type: 'submission', detail },
  };
}
