import type { Alarm } from '../attention.js';
import { unanswered, withAlarms } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import type { ProviderFacts } from '../payout.evidence.js';
import { contradictionIn, factsDetail, isLess, type Contradiction } from '../payout.facts.js';
import { followUp, nextCheck } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import { FOUND, maybeSent, type Decision, type DecisionPolicy } from './decision.js';
import { allFailed, idHeard, idsToFollow, isNews, withHeard } from './heard.js';
import { askedAfterEnd, stillOpen } from './waiting.js';

/** What the provider said of a payout, and by which way. */
export interface Word {
  facts: ProviderFacts;
  source: 'check' | 'notification';
  /** The id belongs to another payout of ours. */
  isForeignId: boolean;
}

/** The provider said what it knows of the payout, by the status call or a notification. */
export function providerWord(payout: Payout, word: Word, policy: DecisionPolicy, now: Date): Decision | null {
  const { facts } = word;
  const contradiction = word.isForeignId ? foreignId(facts) : contradictionIn(payout, facts);
  if (contradiction) return conflict(payout, contradiction, word, policy, now);
  if (payout.providerId !== null && facts.id !== payout.providerId) return otherId(payout, word, policy, now);
  if (isFinal(payout.status)) return afterEnd(payout, word, policy, now);
  if (facts.status === 'wait' && payout.status === 'wait') return stillWaiting(payout, word, policy, now);
  if (isFailure(facts) && !isLastFailure(payout, facts)) return unaccounted(payout, word, policy, now);
  return settled(payout, word, policy);
}

/** The payout takes the provider's status. */
function settled(payout: Payout, { facts, source }: Word, policy: DecisionPolicy): Decision {
  const alarms: Alarm[] = [];
  const isDoubted = payout.status === 'queued' || payout.doubtedAt !== null;
  if (isDoubted && !payout.possiblySent) alarms.push('known_to_provider_before_sent');
  alarms.push(...shortness(payout, facts));
  const isOpen = facts.status === 'wait';
  return {
    to: facts.status,
    set: {
      ...FOUND,
      providerId: payout.providerId ?? facts.id,
      paymentAmount: facts.paymentAmount ?? payout.paymentAmount,
      commissionAmount: facts.commissionAmount ?? payout.commissionAmount,
      isPartialPayment: facts.isPartialPayment ?? payout.isPartialPayment,
      attention: withAlarms(unanswered(payout.attention), ...alarms),
      ...(!isOpen && { endedBy: 'provider' }),
    },
    // Further ids of which no end was heard may be paid as well.
    next: isOpen ? nextCheck(0, policy) : idsToFollow(payout, facts.status).length > 0 ? followUp(0, policy) : null,
    event: { type: source, detail: factsDetail(facts) },
  };
}

function stillWaiting(payout: Payout, { facts, source }: Word, policy: DecisionPolicy, now: Date): Decision | null {
  if (source === 'notification') return null;
  const open = stillOpen(payout, policy, now);
  return { ...open, set: { ...open.set, providerId: facts.id, notFoundCount: 0, notFoundSince: null } };
}

/** A final status stays. An old or reordered `wait` is evidence against it only where it was not the provider's word. */
function afterEnd(payout: Payout, word: Word, policy: DecisionPolicy, now: Date): Decision | null {
  const { status, id } = word.facts;
  const said = idHeard(id, status);
  if (status === 'paid' && isPaidByAnother(payout, said)) {
    return conflict(payout, { about: 'provider_id', said }, word, policy, now);
  }
  if (status === payout.status) return confirmed(payout, word, policy);
  if (status === 'wait' && !isOwnWord(payout)) return null;
  return conflict(payout, { about: 'status', said }, word, policy, now);
}

/** Two attempts were paid, each under an id of its own. */
function isPaidByAnother({ heard }: Payout, said: string): boolean {
  return heard.some((one) => one.endsWith(':paid') && one !== said);
}

/** The provider says the same: it is asked no more, unless another attempt or id may have come to something else. */
function confirmed(payout: Payout, { source }: Word, policy: DecisionPolicy): Decision | null {
  if (payout.dueAt === null) return null;
  if (maybeSent(payout) <= 1 && idsToFollow(payout).length === 0)
    return { to: payout.status, set: {}, next: null, event: null };
  return source === 'check' ? askedAfterEnd(payout, policy) : null;
}

/** `rejected` and `withdrawn` are never the provider's. */
function isOwnWord({ status, endedBy }: Payout): boolean {
  return status === 'rejected' || status === 'withdrawn' || endedBy === 'person';
}

/** Another id than the one that is known: of another attempt, if there was one, or the provider has two. */
function otherId(payout: Payout, word: Word, policy: DecisionPolicy, now: Date): Decision | null {
  const { facts } = word;
  const isPaid = facts.status === 'paid' && maybeSent(payout) > 1 && !isFinal(payout.status);
  const contradiction: Contradiction = { about: 'provider_id', said: idHeard(facts.id, facts.status) };
  if (!isPaid) return conflict(payout, contradiction, word, policy, now);
  const decision = settled(payout, word, policy);
  return {
    ...decision,
    set: {
      ...decision.set,
      attention: withAlarms(unanswered(payout.attention), 'conflict_provider_id', ...shortness(payout, facts)),
      heard: withHeard(payout.heard, contradiction.said),
    },
    // The attempt with the known id may be paid as well.
    next: nextCheck(0, policy),
  };
}

/** The known id's payment counts as heard, so that it is not taken for a further one when it is told again. */
function withOwnEnd(heard: readonly string[], { status, providerId }: Payout): string[] {
  const isOwn = status === 'paid' && providerId !== null && !heard.some((one) => one.endsWith(':paid'));
  return isOwn ? withHeard(heard, idHeard(providerId, 'paid')) : [...heard];
}

function isFailure({ status }: ProviderFacts): boolean {
  return status === 'cancel' || status === 'fail';
}

/** Whether every attempt that may have been sent is known to have failed, under every id. */
function isLastFailure(payout: Payout, facts: ProviderFacts): boolean {
  const heard = withHeard(payout.heard, idHeard(facts.id, facts.status));
  return allFailed({ heard, providerId: payout.providerId }, maybeSent(payout));
}

/** One attempt, or one of its ids, has failed; another may still be paid, so that the failure ends nothing. */
function unaccounted(payout: Payout, { facts, source }: Word, policy: DecisionPolicy, now: Date): Decision | null {
  const said = idHeard(facts.id, facts.status);
  const isNew = isNews(payout, said, 'attempts_unaccounted');
  const set = {
    heard: withHeard(payout.heard, said),
    attention: isNew ? withAlarms(payout.attention, 'attempts_unaccounted') : payout.attention,
  };
  return kept(payout, set, isNew ? { type: source, detail: factsDetail(facts) } : null, policy, now);
}

/** Evidence against what is stored changes no status: it is recorded once, and a person is called. */
function conflict(
  payout: Payout,
  { about, said }: Contradiction,
  { facts, source }: Word,
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  const heard = /^[0-9]+:/.test(said) ? said : `${about}=${said}`;
  // Heard before: the person who has closed the alarm has seen it.
  const isNew = isNews(payout, heard, `conflict_${about}`);
  const set = {
    heard: withHeard(about === 'provider_id' ? withOwnEnd(payout.heard, payout) : payout.heard, heard),
    attention: isNew ? withAlarms(payout.attention, `conflict_${about}`) : payout.attention,
  };
  const detail = { conflict: about, ...factsDetail(facts) };
  return kept(payout, set, isNew ? { type: source, detail } : null, policy, now);
}

/** The payout stays as it is, with what was heard. */
function kept(
  payout: Payout,
  set: Pick<Payout, 'heard' | 'attention'>,
  event: Decision['event'],
  policy: DecisionPolicy,
  now: Date,
): Decision | null {
  if (payout.status === 'wait' || payout.status === 'unknown') {
    const open = stillOpen(payout, policy, now);
    return { ...open, set: { ...open.set, ...set }, event };
  }
  if (!event) return isFinal(payout.status) ? askedAfterEnd(payout, policy) : null;
  // A queued payout that the provider seems to know is not sent until a person has looked.
  return { to: payout.status, set, next: payout.status === 'queued' ? null : 'keep', event };
}

function foreignId({ id }: ProviderFacts): Contradiction {
  return { about: 'provider_id', said: id };
}

/** The alarm of one that was paid, but less than asked for: by the amount, whatever the flag says. */
function shortness({ amount }: Payout, { status, paymentAmount, isPartialPayment }: ProviderFacts): Alarm[] {
  const isShort = isPartialPayment === true || (paymentAmount !== undefined && isLess(paymentAmount, amount));
  return status === 'paid' && isShort ? ['paid_in_part'] : [];
}
