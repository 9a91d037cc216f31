import { StaleRevisionError, StateConflictError } from '../../alikassa.errors.js';
import { hasConflict, holding, isClosable, withoutAlarms } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import type { Evidence } from '../payout.evidence.js';
import { followUp } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import type { Decision, DecisionPolicy } from './decision.js';
import { refuseWhileAskedAbout } from './restored.js';

type Person = Extract<Evidence, { type: 'person' }>;
type Withdrawal = Extract<Evidence, { type: 'withdrawal' }>;

/** @throws StaleRevisionError where the payout is no longer the one that the person saw. */
function refuseStale(payout: Payout, { revision }: Person | Withdrawal): void {
  if (payout.revision !== revision) throw new StaleRevisionError(payout.id, revision, payout.revision);
}

/** A payout is taken back before it was sent. */
export function withdrawal(payout: Payout, evidence: Withdrawal): Decision {
  refuseStale(payout, evidence);
  refuseWhileAskedAbout(payout);
  if (payout.status !== 'queued' || payout.possiblySent || hasConflict(payout.attention)) {
    throw new StateConflictError(
      `Payout ${payout.id} is ${payout.status} and may have been sent: only one that never was can be withdrawn.`,
    );
  }
  const { actor, decision } = evidence;
  const event = { type: 'withdrawal', actor, decision, detail: {} };
  return { to: 'withdrawn', set: { attention: [], endedBy: 'withdrawal' }, next: null, event };
}

/** A person decides on a payout that the machine holds, or closes alarms. */
export function person(payout: Payout, evidence: Person, policy: DecisionPolicy): Decision {
  refuseStale(payout, evidence);
  const { type: _, revision: __, outcome, decision, actor, ...words } = evidence;
  const event = { type: 'person', actor, decision, detail: { outcome, ...words } };
  if (outcome === 'acknowledge') return { ...acknowledged(payout, evidence), event };
  const isHeld = payout.status === 'queued' && payout.attention.length > 0;
  // An id: the provider has the payout, and would have it twice.
  if (outcome === 'resubmit') refuseWhileAskedAbout(payout);
  const mayResubmit = outcome === 'resubmit' && payout.providerId === null;
  if (mayResubmit && (payout.status === 'unknown' || isHeld)) {
    const set = { attention: [], unsentCount: 0, notFoundCount: 0, notFoundSince: null, refusedAt: null };
    return { to: 'queued', set, next: { task: 'submit', afterMs: 0 }, event };
  }
  const isStuck = payout.status === 'unknown' || (payout.status === 'wait' && payout.attention.length > 0);
  if (outcome !== 'resubmit' && isStuck) {
    const set = { attention: [], endedBy: 'person' as const, checkCount: 0 };
    return { to: outcome, set, next: followUp(0, policy), event };
  }
  throw notOpen(payout, outcome);
}

/** Closes alarms by name, and nothing else. */
function acknowledged(
  payout: Payout,
  { alarms }: Extract<Person, { outcome: 'acknowledge' }>,
): Pick<Decision, 'to' | 'set' | 'next'> {
  const missing = alarms.find((alarm) => !payout.attention.includes(alarm));
  if (missing) throw new StateConflictError(`Payout ${payout.id} does not carry "${missing}": nothing was closed.`);
  const standing = alarms.find((alarm) => !isClosable(alarm));
  if (standing) {
    throw new StateConflictError(
      `Payout ${payout.id}: "${standing}" says how the payout stands, and goes when that has changed; decide on the payout instead.`,
    );
  }
  if (payout.status === 'sending' || payout.status === 'queued') {
    throw new StateConflictError(
      `Payout ${payout.id} is ${payout.status}: its alarms keep it from being sent; resubmit or withdraw it instead.`,
    );
  }
  return { to: payout.status, set: { attention: withoutAlarms(payout.attention, alarms) }, next: 'keep' };
}

function notOpen(payout: Payout, outcome: string): StateConflictError {
  const alarms = holding(payout.attention).join(', ');
  const hint = isFinal(payout.status)
    ? 'It is final: acknowledge closes its alarms.'
    : 'Only an unknown payout, or one held with attention, waits for a person.';
  const known = outcome === 'resubmit' && payout.providerId !== null ? ' The provider has given it an id.' : '';
  return new StateConflictError(
    `Payout ${payout.id} is ${payout.status}${alarms ? ` (${alarms})` : ''}: "${outcome}" is not open to it.${known} ${hint}`,
  );
}
