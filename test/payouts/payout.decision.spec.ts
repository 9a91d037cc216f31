import { StateConflictError } from '../../src/alikassa.errors.js';
import { decide, type Decision, type DecisionPolicy } from '../../src/payouts/payout.decision.js';
import { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence, ProviderFacts } from '../../src/payouts/payout.evidence.js';
import { isFinal, mayFollow, PAYOUT_STATUSES, type PayoutStatus } from '../../src/payouts/payout.status.js';

const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const NOW = new Date('2026-01-01T12:00:00Z');
const TRACE = { reason: 'test', phase: 'secured' as const, durationMs: 1 };
const POLICY: DecisionPolicy = {
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

function payout(changes: Partial<Payout> = {}): Payout {
  return Object.assign(new Payout(), {
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
    leaseUntil: null,
    createdAt: NOW,
    ...changes,
  });
}

const sending = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'sending', attempt: 1, leaseUntil: new Date(NOW.getTime() + 1_000), ...changes });
const unknown = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'unknown', attempt: 1, possiblySent: true, ...changes });
const facts = (changes: Partial<ProviderFacts> = {}): ProviderFacts => ({
  status: 'paid',
  id: '7',
  orderId: 'A-1',
  amount: '500',
  ...changes,
});
/** Milliseconds until the next job. */
const pauseOf = (decision: Decision | null): number => {
  const next = decision?.next;
  if (!next || next === 'keep') throw new Error('no job is next');
  return next.afterMs;
};
const after = (ms: number): Date => new Date(NOW.getTime() + ms);
const run = (row: Payout, evidence: Evidence, now = NOW) => decide(row, evidence, POLICY, now);
const submitted = (row: Payout, outcome: object, attempt = 1) =>
  run(row, { type: 'submission', attempt, outcome: { ...TRACE, ...outcome } } as Evidence);
const checked = (row: Payout, outcome: object, now = NOW) =>
  run(row, { type: 'check', outcome: { ...TRACE, ...outcome } } as Evidence, now);
const notified = (row: Payout, changes: Partial<ProviderFacts> = {}) =>
  run(row, { type: 'notification', facts: facts(changes) });

describe('a claim', () => {
  it('raises the attempt and sets a lease', () => {
    expect(run(payout(), { type: 'claimed' })).toMatchObject({
      to: 'sending',
      set: { attempt: 1, leaseUntil: after(60_000) },
    });
  });

  it.each(PAYOUT_STATUSES.filter((status) => status !== 'queued'))('is refused for a payout that is %s', (status) => {
    expect(() => run(payout({ status }), { type: 'claimed' })).toThrow(StateConflictError);
  });

  it('is refused for a payout that waits for a person', () => {
    expect(() => run(payout({ attention: 'retries_used_up' }), { type: 'claimed' })).toThrow(StateConflictError);
  });
});

describe('what a submission decides', () => {
  it('200: wait, with the provider id', () => {
    const decision = submitted(sending(), { kind: 'ok', value: { id: '7', payment_status: 'wait' } });
    expect(decision).toMatchObject({
      to: 'wait',
      set: { providerId: '7', possiblySent: true },
      next: { task: 'check' },
    });
  });

  it.each(['unclear', 'unauthorized', 'rate_limited', 'refused'])(
    '%s: unknown and possibly sent, never fail',
    (kind) => {
      const decision = submitted(sending(), { kind, message: '', errors: {} });
      expect(decision).toMatchObject({ to: 'unknown', set: { possiblySent: true }, next: { task: 'check' } });
    },
  );

  it('never sent, and never before: back to the queue with a growing pause', () => {
    const first = submitted(sending(), { kind: 'never_sent' });
    const second = submitted(sending({ unsentCount: 1 }), { kind: 'never_sent' });
    expect(first).toMatchObject({ to: 'queued', set: { unsentCount: 1 }, next: { task: 'submit' } });
    expect(pauseOf(second)).toBeGreaterThan(pauseOf(first));
    expect(first?.set.possiblySent).toBeUndefined();
  });

  it('never sent after one that may have been: proves nothing, so unknown', () => {
    expect(submitted(sending({ possiblySent: true }), { kind: 'never_sent' })?.to).toBe('unknown');
  });

  it('retries used up: held with attention and without a job, never fail', () => {
    const decision = submitted(sending({ unsentCount: 2 }), { kind: 'never_sent' });
    expect(decision).toMatchObject({ to: 'queued', set: { attention: 'retries_used_up' }, next: null });
  });

  it('honours Retry-After', () => {
    const decision = submitted(sending(), { kind: 'rate_limited', retryAfterMs: 90_000 });
    expect(pauseOf(decision)).toBe(90_000);
  });

  it('a late answer of an older attempt changes nothing', () => {
    expect(submitted(sending({ attempt: 2 }), { kind: 'never_sent' }, 1)).toBeNull();
    expect(submitted(unknown(), { kind: 'ok', value: { id: '7', payment_status: 'wait' } })).toBeNull();
  });
});

describe('the documented 400', () => {
  const refused = (changes: Partial<Payout> = {}) => unknown({ refusedAt: NOW, ...changes });

  it('is remembered only while no earlier attempt could have been accepted', () => {
    const outcome = { kind: 'refused', message: 'm', errors: { number: ['bad'] } };
    expect(submitted(sending(), outcome)?.set.refusedAt).toEqual(NOW);
    expect(submitted(sending({ possiblySent: true }), outcome)?.set.refusedAt).toBeNull();
  });

  it('ends rejected once "not found" was seen often enough and long enough', () => {
    const row = refused({ notFoundCount: 1, notFoundSince: NOW });
    expect(checked(row, { kind: 'not_found' }, after(120_000))).toMatchObject({ to: 'rejected', next: null });
  });

  it('stays unknown if "not found" was seen often, but not long enough', () => {
    const row = refused({ notFoundCount: 5, notFoundSince: NOW });
    expect(checked(row, { kind: 'not_found' }, after(119_999))?.to).toBe('unknown');
  });

  it('stays unknown if "not found" was seen long ago, but once', () => {
    expect(checked(refused(), { kind: 'not_found' }, after(999_999))?.to).toBe('unknown');
  });

  it('ends by the provider if it exists after all', () => {
    const answer = { payment_status: 'paid', id: '7', order_id: 'A-1', amount: '500.00' };
    expect(checked(refused(), { kind: 'ok', value: answer })?.to).toBe('paid');
  });
});

describe('a check', () => {
  it('"not found" after maybe-sent stays unknown, and calls a person once confirmed', () => {
    const row = unknown({ notFoundCount: 1, notFoundSince: NOW });
    expect(checked(row, { kind: 'not_found' }, after(120_000))).toMatchObject({
      to: 'unknown',
      set: { attention: 'not_found' },
      next: { task: 'check' },
    });
  });

  it.each(['unclear', 'never_sent', 'unauthorized', 'rate_limited'])('that fails (%s) changes no status', (kind) => {
    expect(checked(unknown(), { kind })).toMatchObject({ to: 'unknown', next: { task: 'check' } });
    expect(checked(payout({ status: 'wait' }), { kind })?.to).toBe('wait');
  });

  it('walks the schedule and repeats its last pause', () => {
    const pause = (checkCount: number): number => pauseOf(checked(unknown({ checkCount }), { kind: 'unclear' }));
    expect(pause(0)).toBeGreaterThanOrEqual(27_000);
    expect(pause(50)).toBeLessThanOrEqual(33_000);
  });

  it('raises attention beyond the age limit and goes on asking', () => {
    const decision = checked(payout({ status: 'wait' }), { kind: 'unclear' }, after(86_400_001));
    expect(decision).toMatchObject({ to: 'wait', set: { attention: 'overdue' }, next: { task: 'check' } });
  });
});

describe("the provider's word", () => {
  it.each(['queued', 'sending', 'wait', 'unknown'] as const)('settles a payout that is %s', (status) => {
    expect(notified(payout({ status }))).toMatchObject({ to: 'paid', set: { providerId: '7' }, next: null });
  });

  it('a notification before our own submission has its answer settles', () => {
    expect(notified(sending())?.to).toBe('paid');
  });

  it('knows a payout that was never sent: a person must look, and it is not sent', () => {
    expect(notified(payout(), { status: 'wait' })).toMatchObject({
      to: 'wait',
      set: { attention: 'known_to_provider_before_sent', possiblySent: true },
    });
  });

  it('wait after paid is ignored', () => {
    expect(notified(payout({ status: 'paid' }), { status: 'wait' })).toBeNull();
  });

  it('the same final status again changes nothing', () => {
    expect(notified(payout({ status: 'paid' }))).toBeNull();
  });

  it.each([
    ['fail', 'paid'],
    ['cancel', 'paid'],
    ['paid', 'fail'],
    ['rejected', 'paid'],
    ['rejected', 'wait'],
    ['withdrawn', 'wait'],
  ] as const)('%s, later %s: a conflict for a person, no change', (status, later) => {
    const decision = notified(payout({ status }), { status: later });
    expect(decision).toMatchObject({ to: status, set: { attention: 'conflict_status' } });
  });

  it.each([
    ['amount', { amount: '500.01' }],
    ['order_id', { orderId: 'B' }],
    ['account', { account: '00000000-0000-4000-8000-000000000000' }],
    ['provider_id', { id: '8' }],
  ] as const)('another %s is a conflict and settles nothing', (about, changes) => {
    const row = payout({ status: 'wait', providerId: '7' });
    expect(notified(row, changes)).toMatchObject({ to: 'wait', set: { attention: `conflict_${about}` } });
  });

  it('a conflict holds a queued payout back', () => {
    expect(notified(payout(), { amount: '1' })).toMatchObject({ to: 'queued', next: null });
  });

  it('reads 500, 500.0 and 0500.00 as one amount', () => {
    for (const amount of ['500', '500.0', '0500.00']) expect(notified(unknown(), { amount })?.to).toBe('paid');
  });

  it('paid in part calls a person', () => {
    expect(notified(unknown(), { isPartialPayment: true })?.set.attention).toBe('paid_in_part');
  });

  it('answers the attention that only said that nobody knows', () => {
    expect(notified(unknown({ attention: 'not_found' }))?.set.attention).toBeNull();
    expect(notified(unknown({ attention: 'conflict_amount' }))?.set.attention).toBe('conflict_amount');
  });
});

describe('with confirmNotifications, a notification', () => {
  const hinted = (row: Payout, changes: Partial<ProviderFacts> = {}): Decision | null =>
    decide(row, { type: 'notification', facts: facts(changes) }, { ...POLICY, confirmNotifications: true }, NOW);

  it.each(['wait', 'unknown'] as const)(
    'of a payout that is %s has the status asked now, and says nothing',
    (status) => {
      for (const said of ['paid', 'fail', 'cancel'] as const) {
        expect(hinted(payout({ status, attempt: 1, possiblySent: true, checkCount: 4 }), { status: said })).toEqual({
          to: status,
          set: { checkCount: 0 },
          next: { task: 'check', afterMs: 0 },
          event: { type: 'notification', detail: expect.objectContaining({ to_be_confirmed: true }) },
        });
      }
    },
  );

  it('of a payout that was never sent keeps it from being sent, until the status call has said more', () => {
    expect(hinted(payout())).toMatchObject({
      to: 'unknown',
      set: { possiblySent: true, attention: 'known_to_provider_before_sent' },
      next: { task: 'check', afterMs: 0 },
    });
  });

  it('of a payout on its way waits for the answer of that attempt', () => {
    expect(hinted(sending())).toBeNull();
  });

  it('against a final status calls a person, as ever', () => {
    expect(hinted(payout({ status: 'fail', providerId: '7' }))).toMatchObject({
      to: 'fail',
      set: { attention: 'conflict_status' },
    });
  });
});

describe('a lease', () => {
  it('that has run out makes the payout unknown and possibly sent', () => {
    expect(run(sending(), { type: 'lease_expired' }, after(1_000))).toMatchObject({
      to: 'unknown',
      set: { possiblySent: true },
    });
  });

  it('that still runs changes nothing', () => {
    expect(run(sending(), { type: 'lease_expired' }, after(999))).toBeNull();
  });
});

describe('a person', () => {
  const person = (row: Payout, outcome: 'resubmit' | 'paid' | 'fail') =>
    run(row, { type: 'person', outcome, reason: 'r', actor: 'op' });

  it('resubmits an unknown payout, and it stays possibly sent', () => {
    const decision = person(unknown({ attention: 'not_found' }), 'resubmit');
    expect(decision).toMatchObject({ to: 'queued', set: { attention: null }, next: { task: 'submit' } });
    expect(decision?.set.possiblySent).toBeUndefined();
  });

  it.each(['paid', 'fail'] as const)('ends an unknown payout as %s, with name and reason', (outcome) => {
    expect(person(unknown(), outcome)).toMatchObject({
      to: outcome,
      event: { actor: 'op', detail: { outcome, reason: 'r' } },
    });
  });

  it('may not touch what the machine still works on', () => {
    for (const row of [payout(), sending(), payout({ status: 'wait' })]) {
      for (const outcome of ['resubmit', 'paid', 'fail'] as const) {
        expect(() => person(row, outcome)).toThrow(StateConflictError);
      }
    }
  });

  it('cannot change a final status, only acknowledge it', () => {
    const row = payout({ status: 'fail', attention: 'conflict_status' });
    expect(() => person(row, 'paid')).toThrow(StateConflictError);
    expect(() => person(row, 'resubmit')).toThrow(StateConflictError);
    expect(person(row, 'fail')).toMatchObject({ to: 'fail', set: { attention: null } });
  });
});

describe('a check that a person asked for', () => {
  const asked = (outcome: object): Evidence => ({ type: 'check', outcome, actor: 'op' }) as Evidence;

  it('names the person in what it changed', () => {
    const found = { ...TRACE, kind: 'ok', value: { payment_status: 'paid', id: '7', order_id: 'A-1' } };
    expect(run(unknown(), asked(found))).toMatchObject({ to: 'paid', event: { type: 'check', actor: 'op' } });
  });

  it('is in the history though nothing new was said, where one of the machine is not', () => {
    const silent = { ...TRACE, kind: 'unclear' };
    const detail = expect.objectContaining({ outcome: 'unclear' }) as object;
    expect(run(unknown(), asked(silent))?.event).toEqual({ type: 'check', actor: 'op', detail });
    expect(run(unknown(), { type: 'check', outcome: silent } as Evidence)?.event).toBeNull();
  });

  it('leaves no trace where it changes nothing', () => {
    const same = { ...TRACE, kind: 'ok', value: { payment_status: 'paid', id: '7', order_id: 'A-1' } };
    expect(run(payout({ status: 'paid', providerId: '7' }), asked(same))).toBeNull();
  });
});

describe('a withdrawal', () => {
  it('takes back what was never sent', () => {
    expect(run(payout(), { type: 'withdrawal' })?.to).toBe('withdrawn');
  });

  it('is refused for anything that may have been sent', () => {
    for (const row of [payout({ possiblySent: true }), sending(), unknown(), payout({ status: 'paid' })]) {
      expect(() => run(row, { type: 'withdrawal' })).toThrow(StateConflictError);
    }
  });
});

describe('the transition table', () => {
  it('lets nothing follow a final status', () => {
    const finals: PayoutStatus[] = ['paid', 'cancel', 'fail', 'rejected', 'withdrawn'];
    expect(PAYOUT_STATUSES.filter((status) => isFinal(status))).toEqual(finals);
    for (const from of finals) for (const to of PAYOUT_STATUSES) expect(mayFollow(from, to)).toBe(false);
  });

  it('leads to withdrawn from queued alone, and to rejected from unknown alone', () => {
    expect(PAYOUT_STATUSES.filter((from) => mayFollow(from, 'withdrawn'))).toEqual(['queued']);
    expect(PAYOUT_STATUSES.filter((from) => mayFollow(from, 'rejected'))).toEqual(['unknown']);
  });
});

describe('a failure that is heard while a resubmission is on its way', () => {
  const heard = (status: 'fail' | 'cancel' | 'paid', possiblySent: boolean): Decision | null =>
    decide(sending({ possiblySent }), { type: 'notification', facts: facts({ status }) }, POLICY, NOW);

  it('may speak of the attempt before: it changes nothing', () => {
    expect([heard('fail', true), heard('cancel', true)]).toEqual([null, null]);
  });

  it('ends the payout where there was no attempt before, and a payment always does', () => {
    expect([heard('fail', false)?.to, heard('cancel', false)?.to, heard('paid', true)?.to]).toEqual([
      'fail',
      'cancel',
      'paid',
    ]);
  });
});
