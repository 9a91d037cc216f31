import { decide, type Decision, type DecisionPolicy } from '../../src/payouts/payout.decision.js';
import type { Alarm } from '../../src/payouts/attention.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence, ProviderFacts } from '../../src/payouts/payout.evidence.js';

/** Rows and evidence for `decide()`, on one clock and under one policy. Without TypeORM: it would take most of the time. */
export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
export const NOW = new Date('2026-01-01T12:00:00Z');
export const POLICY: DecisionPolicy = {
  leaseMs: 60_000,
  checkSchedule: [10_000, 30_000],
  followUpSchedule: [3_600_000, 86_400_000],
  attentionAfterMs: 86_400_000,
  rejectAfterNotFound: 2,
  rejectAfterMs: 120_000,
  onNotFound: 'hold',
  maxResubmissions: 5,
  pauseMs: 60_000,
  maxUnsentAttempts: 3,
  confirmNotifications: false,
};
/** Of the attempt that holds a payout which is `sending()`. */
export const TOKEN = '3d2b4a3e-6f0a-4a5e-9a44-000000000001';
export const DECISION = '3d2b4a3e-6f0a-4a5e-9a44-00000000d001';
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
    attemptToken: null,
    revision: 0,
    possiblySent: false,
    providerId: null,
    paymentAmount: null,
    commissionAmount: null,
    isPartialPayment: null,
    attention: [],
    heard: [],
    endedBy: null,
    numberMasked: '*******4455',
    service: 'qiwi_rub',
    refusedAt: null,
    unsentCount: 0,
    unsentTotal: 0,
    notFoundCount: 0,
    notFoundSince: null,
    checkCount: 0,
    epoch: null,
    doubtedAt: null,
    leaseUntil: null,
    dueAt: null,
    createdAt: NOW,
    ...changes,
  };
  return row as Payout;
}

/** The row with some of it changed. */
export const changed = (row: Payout, changes: Partial<Payout>): Payout => payout(Object.assign({}, row, changes));
/** The row after a decision. */
export const next = (row: Payout, decision: Decision | null): Payout =>
  changed(row, { ...decision?.set, status: decision?.to ?? row.status });

export const sending = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'sending', attempt: 1, attemptToken: TOKEN, leaseUntil: after(1_000), ...changes });
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

interface SubmissionChanges {
  attempt?: number;
  token?: string;
  isForeignId?: boolean;
}

interface Circumstances {
  now?: Date;
  policy?: Partial<DecisionPolicy>;
}

export const run = (row: Payout, evidence: Evidence, { now = NOW, policy = {} }: Circumstances = {}) =>
  decide(row, evidence, { ...POLICY, ...policy }, now);
/** @param outcome what the create call came to; the trace of the call is added. */
export const submitted = (
  row: Payout,
  outcome: object,
  { attempt = 1, token = TOKEN, isForeignId, ...circumstances }: Circumstances & SubmissionChanges = {},
) =>
  run(
    row,
    { type: 'submission', attempt, token, isForeignId, outcome: { ...TRACE, ...outcome } } as Evidence,
    circumstances,
  );
/** The provider has accepted it. */
export const acceptedAs = (id: string): object => ({ kind: 'ok', value: { id, payment_status: 'wait' } });
/** @param outcome what the status call came to; the trace of the call is added. */
export const checked = (row: Payout, outcome: object, circumstances: Circumstances = {}) =>
  run(row, { type: 'check', outcome: { ...TRACE, ...outcome } } as Evidence, circumstances);
export const notified = (row: Payout, changes: Partial<ProviderFacts> = {}) =>
  run(row, { type: 'notification', facts: facts(changes) });
export const CLAIMED: Evidence = { type: 'claimed', token: TOKEN };
export const decidedBy = (row: Payout, outcome: 'resubmit' | 'paid' | 'fail', revision = row.revision) =>
  run(row, { type: 'person', decision: DECISION, revision, outcome, reason: 'r', actor: 'op' });
export const acknowledgedBy = (row: Payout, ...alarms: Alarm[]) =>
  run(row, {
    type: 'person',
    decision: DECISION,
    revision: row.revision,
    outcome: 'acknowledge',
    alarms,
    reason: 'r',
    actor: 'op',
  });
export const withdrawnBy = (row: Payout, actor?: string) =>
  run(row, { type: 'withdrawal', decision: DECISION, revision: row.revision, actor });

/** Milliseconds until the next job. */
export function pauseOf(decision: Decision | null): number {
  const next = decision?.next;
  if (!next || next === 'keep') throw new Error('no job is next');
  return next.afterMs;
}
