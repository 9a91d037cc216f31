import { groupBy } from './group.by.mjs';

/** Answers that say that nothing was done, and never will be. */
const DENIALS = [404, 409, 412];
/** Nothing is said by these: the same words are sent again. */
const UNANSWERED = [0, 500, 502, 503];

/**
 * Holds what the people were told against the history: a decision that was granted stands there once, one that was denied
 * not at all, and nothing stands there that nobody decided.
 */
export function checkDecisions({ decisions, events }, eventsOf, found) {
  for (const decision of decisions) {
    const { orderId, outcome, revision, reason, answers, isOfForgotten } = decision;
    const broken = (rule, why) =>
      found(
        rule,
        orderId,
        `${outcome} on revision ${revision} (${reason}) answered ${answers.map(({ status }) => status).join(', ')}: ${why}`,
      );
    const made = (eventsOf.get(decision.payoutId) ?? []).filter((event) => isOf(event, decision)).length;
    const lasting = answers.filter(({ mayBeForgotten }) => !mayBeForgotten).map(({ status }) => status);
    if (made > 1) broken('decided twice', `${made} events`);
    if (made === 0 && lasting.includes(200)) broken('decision lost', 'not in the history');
    if (made > 0 && lasting.some((status) => DENIALS.includes(status)))
      broken('denied, though decided', 'in the history');
    // An id that was forgotten is not found.
    const isAnswer = (status) =>
      status === 200 || UNANSWERED.includes(status) || (DENIALS.includes(status) && (status !== 404 || isOfForgotten));
    if (!answers.every(({ status }) => isAnswer(status))) broken('decision refused', 'such an answer is never right');
  }
  const decisionsOf = groupBy(decisions, ({ payoutId }) => payoutId);
  for (const event of events) {
    if (event.type !== 'person' && event.type !== 'withdrawal') continue;
    if (!(decisionsOf.get(event.payoutId) ?? []).some((decision) => isOf(event, decision))) {
      found('decision nobody made', undefined, `${event.type} of payout ${event.payoutId} (${event.reason})`);
    }
  }
}

function isOf({ type, revision, reason }, decision) {
  if (decision.outcome === 'withdraw') return type === 'withdrawal' && revision === decision.revision + 1;
  return type === 'person' && reason === decision.reason;
}
