import { decide, type Decision, type DecisionPolicy } from '../../src/payouts/payout.decision.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence, ProviderFacts } from '../../src/payouts/payout.evidence.js';

/** Rows and evidence for `decide()`, on one clock and under one policy. Without TypeORM: it would take most of the time. */
export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
export const NOW = new Date('2026-01-01T12:00:00Z');
export const POLICY: DecisionPolicy = {
  leaseMs: 60_000,
  checkSchedule: [10_000, 30_000],
  attentionAfterMs: 86_400_000,
  rejectAfterNotFound: 2,
  rejectAfterMs: 120_000,
  onNotFound: 'hold',
  maxResubmissions: 5,
  pauseMs: 60_000,
  maxUnsentAttempts: 3,
  confirmNotifications: false,
};
const TRACE = { reason: 'test', phase: 'secured' as const, durationMs: 1 };

/** The database's clock so many milliseconds later. */
export const after = (ms: number): Date => new Date(NOW.getTime() + ms);

export function payout(changes: Partial<Payout> = {}): Payout {
  const row: Partial<Payout> = {
    id: '0b0f3a52-9b57-4b3c-8f3e-2f7f6c1f0001',
    orderId: 'A-1',
    account: ACCOUNT,
    amount: '500.00',
    status: 'queued',
    attempt: 0,
    revision: 0,
    possiblySent: false,
    providerId: null,
    paymentAmount: null,
    commissionAmount: null,
    isPartialPayment: null,
    attention: null,
    refusedAt: null,
    unsentCount: 0,
    notFoundCount: 0,
    notFoundSince: null,
    checkCount: 0,
    epoch: null,
    doubtedAt: null,
    leaseUntil: null,
    createdAt: NOW,
    ...changes,
  };
  return row as Payout;
}

export const sending = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'sending', attempt: 1, leaseUntil: after(1_000), ...changes });
export const unknown = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'unknown', attempt: 1, possiblySent: true, ...changes });
export const waiting = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'wait', attempt: 1, possiblySent: true, providerId: '7', ...changes });

/** What the provider says of `payout()`: paid. */
export const facts = (changes: Partial<ProviderFacts> = {}): ProviderFacts => ({
  status: 'paid',
  id: '7',
  orderId: 'A-1',
  amount: '500',
  ...changes,
});
/** The same as the status call answers it. */
export const answered = (changes: Record<string, unknown> = {}): object => ({
  kind: 'ok',
  value: { payment_status: 'paid', id: '7', order_id: 'A-1', amount: '500.00', ...changes },
});

interface Circumstances {
  now?: Date;
  policy?: Partial<DecisionPolicy>;
}

export const run = (row: Payout, evidence: Evidence, { now = NOW, policy = {} }: Circumstances = {}) =>
  decide(row, evidence, { ...POLICY, ...policy }, now);
/** @param outcome what the create call came to; the trace of the call is added. */
export const submitted = (row: Payout, outcome: object, circumstances: Circumstances & { attempt?: number } = {}) =>
  run(
    row,
    { type: 'submission', attempt: circumstances.attempt ?? 1, outcome: { ...TRACE, ...outcome } } as Evidence,
    circumstances,
  );
/** @param outcome what the status call came to; the trace of the call is added. */
export const checked = (row: Payout, outcome: object, circumstances: Circumstances = {}) =>
  run(row, { type: 'check', outcome: { ...TRACE, ...outcome } } as Evidence, circumstances);
export const notified = (row: Payout, changes: Partial<ProviderFacts> = {}) =>
  run(row, { type: 'notification', facts: facts(changes) });
export const decidedBy = (row: Payout, outcome: 'resubmit' | 'paid' | 'fail') =>
  run(row, { type: 'person', outcome, reason: 'r', actor: 'op' });

/** Milliseconds until the next job. */
export function pauseOf(decision: Decision | null): number {
  const next = decision?.next;
  if (!next || next === 'keep') throw new Error('no job is next');
  return next.afterMs;
}
