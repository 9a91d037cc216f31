import type { PayoutStatusAnswer, ProviderOutcome } from '../provider/provider.types.js';
import type { Payout } from './payout.entity.js';
import type { ProviderFacts } from './payout.evidence.js';

export function factsOf(answer: PayoutStatusAnswer): ProviderFacts {
  return {
    status: answer.payment_status,
    id: answer.id,
    orderId: answer.order_id,
    amount: answer.amount,
    paymentAmount: answer.payment_amount,
    commissionAmount: answer.commission_amount,
    isPartialPayment: answer.is_partial_payment,
  };
}

/** What of it is kept in the history. */
export function factsDetail(facts: ProviderFacts): Record<string, unknown> {
  return { payment_status: facts.status, provider_id: facts.id, payment_amount: facts.paymentAmount };
}

/** The first fact that another payout than ours would have; null if all of them fit. */
export function contradictionIn(payout: Payout, facts: ProviderFacts): string | null {
  if (facts.orderId !== payout.orderId) return 'order_id';
  if (facts.account !== undefined && facts.account.toLowerCase() !== payout.account) return 'account';
  if (payout.providerId !== null && facts.id !== payout.providerId) return 'provider_id';
  if (facts.amount !== undefined && !sameAmount(facts.amount, payout.amount)) return 'amount';
  return null;
}

/** "300" and "300.00" are one amount; decimal strings only, so no float is involved. */
function sameAmount(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(amount: string): string {
  const [whole = '', fraction = ''] = amount.split('.');
  return `${whole.replace(/^0+(?=\d)/, '')}.${fraction.replace(/0+$/, '')}`;
}

/** What became of a call, for the history. */
export function traceOf(outcome: ProviderOutcome<unknown>): Record<string, unknown> {
  const { kind, reason, httpStatus, phase, durationMs } = outcome;
  return { outcome: kind, reason, http_status: httpStatus, phase, duration_ms: Math.round(durationMs) };
}
