import { claim, leaseExpired, submission, unopened } from './decision/attempt.js';
import type { Decision, DecisionPolicy } from './decision/decision.js';
import { fault, paused } from './decision/hold.js';
import { person, withdrawal } from './decision/person.js';
import { restored } from './decision/restored.js';
import { providerWord, type Word } from './decision/provider.word.js';
import { unanswerable } from './decision/waiting.js';
import type { Payout } from './payout.entity.js';
import type { Evidence } from './payout.evidence.js';
import { factsDetail, factsOf, traceOf } from './payout.facts.js';

export { isSendable } from './decision/attempt.js';
export type { Decision, DecisionPolicy } from './decision/decision.js';

/**
 * The payout machine: pure, so that every rule can be read and tested in one place.
 * @param now the database's clock.
 * @returns `null` where the evidence changes nothing.
 * @throws StateConflictError where a person or the worker asks for what the state does not allow; StaleRevisionError where
 * a person has decided on another state than this one.
 */
export function decide(payout: Payout, evidence: Evidence, policy: DecisionPolicy, now: Date): Decision | null {
  switch (evidence.type) {
    case 'claimed':
      return claim(payout, evidence.token, policy, now);
    case 'unopened':
      return unopened(payout, evidence.outcome, policy);
    case 'submission':
      return submission(payout, evidence, policy, now);
    case 'check':
      return attributed(check(payout, evidence, policy, now), evidence);
    case 'notification':
      return notification(payout, evidence, policy, now);
    case 'lease_expired':
      return leaseExpired(payout, now);
    case 'restored':
      return restored(payout, evidence, policy, now);
    case 'paused':
      return paused(payout, evidence.reason, evidence.afterMs);
    case 'fault':
      return fault(payout, evidence.attention);
    case 'withdrawal':
      return withdrawal(payout, evidence);
    case 'person':
      return person(payout, evidence, policy);
  }
}

type Check = Extract<Evidence, { type: 'check' }>;

function check(payout: Payout, { outcome, isForeignId = false }: Check, policy: DecisionPolicy, now: Date) {
  if (outcome.kind !== 'ok') return unanswerable(payout, outcome, policy, now);
  return providerWord(payout, { facts: factsOf(outcome.value), source: 'check', isForeignId }, policy, now);
}

/** Names the caller of a check with what it changed, and be it only when the next one is due. */
function attributed(decision: Decision | null, { actor, outcome }: Check): Decision | null {
  if (!decision || actor === undefined) return decision;
  return { ...decision, event: { ...(decision.event ?? { type: 'check', detail: traceOf(outcome) }), actor } };
}

/** A notification's word moves the payout, or where the host does not trust it alone, has the status call asked now. */
function notification(
  payout: Payout,
  { facts, isForeignId = false }: Extract<Evidence, { type: 'notification' }>,
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  const word: Word = { facts, source: 'notification', isForeignId };
  const decision = providerWord(payout, word, policy, now);
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
