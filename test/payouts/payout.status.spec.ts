import { StateConflictError } from '../../src/alikassa.errors.js';
import { isFinal, mayFollow, PAYOUT_STATUSES, type PayoutStatus } from '../../src/payouts/payout.status.js';
import type { Alarm } from '../../src/payouts/attention.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import { PROVIDER_STATUSES } from '../../src/provider/provider.types.js';
import { after, answered, CLAIMED, facts, NOW, payout, run, TOKEN } from '../helpers/decisions.js';

const TRACE = { reason: 'test', phase: 'secured', durationMs: 1 };
const outcomes = ['unclear', 'never_sent', 'not_found', 'unauthorized', 'rate_limited'].map((kind) => ({ kind }));
const submissions = [
  ...outcomes,
  { kind: 'ok', value: { id: '7', payment_status: 'wait' } },
  { kind: 'refused', message: 'm', errors: {} },
].map((outcome) => ({ type: 'submission', attempt: 1, token: TOKEN, outcome: { ...TRACE, ...outcome } }));
const checks = [...outcomes, ...PROVIDER_STATUSES.map((payment_status) => answered({ payment_status }))].map(
  (outcome) => ({ type: 'check', outcome: { ...TRACE, ...outcome } }),
);
const evidence = [
  ...submissions,
  ...checks,
  ...PROVIDER_STATUSES.map((status) => ({ type: 'notification', facts: facts({ status }) })),
  ...['resubmit', 'paid', 'fail'].map((outcome) => ({
    type: 'person',
    decision: 'd',
    revision: 0,
    outcome,
    reason: 'r',
  })),
  CLAIMED,
  { type: 'lease_expired' },
  { type: 'paused', reason: 'unauthorized', afterMs: 1 },
  { type: 'fault', attention: 'recipient_unreadable' },
  { type: 'withdrawal', decision: 'd', revision: 0 },
] as Evidence[];

const policies = [{}, { onNotFound: 'resubmit' }, { confirmNotifications: true }] as const;

function* rows(): Generator<Payout> {
  for (const status of PAYOUT_STATUSES) {
    for (const possiblySent of [false, true]) {
      for (const attention of [[], ['overdue'], ['conflict_amount']] as Alarm[][]) {
        for (const refusedAt of [null, NOW]) {
          const counts = { attempt: 1, notFoundCount: 9, notFoundSince: NOW, leaseUntil: NOW, attemptToken: TOKEN };
          yield payout({ status, possiblySent, attention, refusedAt, ...counts });
        }
      }
    }
  }
}

/** Every move that some evidence makes of some payout, as `from->to`. */
function moves(): Set<string> {
  const seen = new Set<string>();
  for (const row of rows()) {
    for (const one of evidence) {
      for (const policy of policies) {
        try {
          const decision = run(row, one, { now: after(999_999), policy });
          if (decision && decision.to !== row.status) seen.add(`${row.status}->${decision.to}`);
        } catch (error) {
          if (!(error instanceof StateConflictError)) throw error;
        }
      }
    }
  }
  return seen;
}

describe('the transition table', () => {
  it('holds exactly what evidence can do', () => {
    const pairs = PAYOUT_STATUSES.flatMap((from) =>
      PAYOUT_STATUSES.filter((to) => mayFollow(from, to)).map((to) => `${from}->${to}`),
    );
    expect([...moves()].toSorted()).toEqual(pairs.toSorted());
  });

  it('lets nothing follow a final status', () => {
    const finals: PayoutStatus[] = ['paid', 'cancel', 'fail', 'rejected', 'withdrawn'];
    expect(PAYOUT_STATUSES.filter((status) => isFinal(status))).toEqual(finals);
    for (const from of finals) for (const to of PAYOUT_STATUSES) expect(mayFollow(from, to)).toBe(false);
  });

  it('leads to withdrawn from queued alone, and to rejected from unknown alone', () => {
    expect(PAYOUT_STATUSES.filter((from) => mayFollow(from, 'withdrawn'))).toEqual(['queued']);
    expect(PAYOUT_STATUSES.filter((from) => mayFollow(from, 'rejected'))).toEqual(['unknown']);
  });

  it('lets the provider end whatever is open', () => {
    for (const from of PAYOUT_STATUSES.filter((status) => !isFinal(status))) {
      for (const to of ['paid', 'cancel', 'fail'] as const)
        expect([from, to, mayFollow(from, to)]).toEqual([from, to, true]);
    }
  });
});
