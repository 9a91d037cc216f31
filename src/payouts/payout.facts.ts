import type { PayoutStatusAnswer, ProviderOutcome } from '../provider/provider.types.js';
import type { Payout } from './payout.entity.js';
import type { ProviderFacts } from './payout.evidence.js';

/** A fact that another payout than ours would have. */
export interface Contradiction {
  about: 'order_id' | 'account' | 'amount' | 'recipient' | 'service' | 'provider_id' | 'status';
  /** The provider's word, as it is kept: nothing of a recipient. */
  said: string;
}

export function factsOf(answer: PayoutStatusAnswer): ProviderFacts {
  return {
    status: answer.payment_status,
    id: answer.id,
    orderId: answer.order_id,
    amount: answer.amount,
    paymentAmount: answer.payment_amount,
    commissionAmount: answer.commission_amount,
    isPartialPayment: answer.is_partial_payment,
    service: answer.service_code,
    mask: answer.card_mask,
  };
}

/** What of it is kept in the history. */
export function factsDetail(facts: ProviderFacts): Record<string, unknown> {
  return { payment_status: facts.status, provider_id: facts.id, payment_amount: facts.paymentAmount };
}

/** The first fact that another payout than ours would have; null if all of them fit. */
export function contradictionIn(payout: Payout, facts: ProviderFacts): Contradiction | null {
  const { id, orderId, account, amount, mask, service } = facts;
  if (orderId !== payout.orderId) return { about: 'order_id', said: id };
  if (account !== undefined && account.toLowerCase() !== payout.account) return { about: 'account', said: id };
  if (amount !== undefined && !sameAmount(amount, payout.amount)) return { about: 'amount', said: amount };
  if (mask !== undefined && isOtherRecipient(payout.numberMasked, mask)) return { about: 'recipient', said: id };
  if (service && service.trim().toLowerCase() !== payout.service.toLowerCase()) return { about: 'service', said: id };
  return null;
}

/** "300" and "300.00" are one amount; decimal strings only, so no float is involved. */
function sameAmount(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

/** Whether the first of two amounts is the smaller one; the second is not negative. */
export function isLess(a: string, b: string): boolean {
  if (a.startsWith('-')) return true;
  const [ours, theirs] = [canonical(a), canonical(b)];
  const [ourWhole, theirWhole] = [ours.indexOf('.'), theirs.indexOf('.')];
  // Of one length before the point, digits are in the order of text.
  return ourWhole === theirWhole ? ours < theirs : ourWhole < theirWhole;
}

function canonical(amount: string): string {
  const [whole = '', fraction = ''] = amount.split('.');
  return `${whole.replace(/^0+(?=\d)/, '')}.${fraction.replace(/0+$/, '')}`;
}

/**
 * Compares the digits that two masks of a number show at its ends. How the provider masks is not documented, so only what
 * both show counts. A mask of another length is compared for cards alone: a payout to a phone number may be answered with
 * the card behind it.
 */
function isOtherRecipient(ours: string, theirs: string): boolean {
  const shown = theirs.replaceAll(/[\s-]/g, '');
  const [ourStart, ourEnd] = endsOf(ours);
  const [theirStart, theirEnd] = endsOf(shown);
  const isCard = ourStart.length >= 6;
  if (!isCard && shown.length !== ours.length) return false;
  const first = Math.min(ourStart.length, theirStart.length);
  const last = Math.min(ourEnd.length, theirEnd.length);
  const isSameStart = ourStart.slice(0, first) === theirStart.slice(0, first);
  const isSameEnd = ourEnd.slice(ourEnd.length - last) === theirEnd.slice(theirEnd.length - last);
  return !isSameStart || !isSameEnd;
}

function endsOf(mask: string): [start: string, end: string] {
  const digits = mask.split(/\D+/);
  return [digits[0] ?? '', digits.at(-1) ?? ''];
}

/** What became of a call, for the history. */
export function traceOf(outcome: ProviderOutcome<unknown>): Record<string, unknown> {
  const { kind, reason, httpStatus, phase, durationMs } = outcome;
  return { outcome: kind, reason, http_status: httpStatus, phase, duration_ms: Math.round(durationMs) };
}
