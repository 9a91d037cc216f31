import { StateConflictError } from '../../src/alikassa.errors.js';
import { isSendable } from '../../src/payouts/payout.unsent.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { PAYOUT_STATUSES } from '../../src/payouts/payout.status.js';
import {
  after,
  answered,
  checked,
  notified,
  NOW,
  pauseOf,
  payout,
  run,
  sending,
  submitted,
  unknown,
  waiting,
} from '../helpers/decisions.js';

const NOT_FOUND = { kind: 'not_found' };

describe('a claim', () => {
  it('raises the attempt and sets a lease', () => {
    expect(run(payout(), { type: 'claimed' })).toMatchObject({
      to: 'sending',
      set: { attempt: 1, leaseUntil: after(60_000) },
      next: null,
    });
  });

  it.each(PAYOUT_STATUSES.filter((status) => status !== 'queued'))('is refused for a payout that is %s', (status) => {
    expect(() => run(payout({ status }), { type: 'claimed' })).toThrow(StateConflictError);
  });

  it('is refused for a payout that waits for a person', () => {
    expect(() => run(payout({ attention: 'retries_used_up' }), { type: 'claimed' })).toThrow(StateConflictError);
  });

  it('takes one whose account was paused, and the note of it goes', () => {
    const row = payout({ attention: 'paused_unauthorized' });
    expect(isSendable(row)).toBe(true);
    expect(run(row, { type: 'claimed' })?.set.attention).toBeNull();
  });
});

describe('what a submission decides', () => {
  it('200: wait, with the provider id', () => {
    const row = sending({ unsentCount: 2, checkCount: 4 });
    expect(submitted(row, { kind: 'ok', value: { id: '7', payment_status: 'wait' } })).toMatchObject({
      to: 'wait',
      set: { providerId: '7', possiblySent: true, unsentCount: 0, checkCount: 0 },
      next: { task: 'check' },
    });
  });

  it.each(['unclear', 'unauthorized', 'rate_limited', 'refused'])(
    '%s: unknown and possibly sent, never fail',
    (kind) => {
      const decision = submitted(sending({ checkCount: 4 }), { kind, message: '', errors: {} });
      expect(decision).toMatchObject({
        to: 'unknown',
        set: { possiblySent: true, checkCount: 0 },
        next: { task: 'check' },
      });
    },
  );

  it('never sent, and never before: back to the queue with a growing pause', () => {
    const first = submitted(sending(), { kind: 'never_sent' });
    const second = submitted(sending({ unsentCount: 1 }), { kind: 'never_sent' });
    expect(first).toMatchObject({ to: 'queued', set: { unsentCount: 1, attention: null }, next: { task: 'submit' } });
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

  it('a late answer of an older attempt changes nothing', () => {
    expect(submitted(sending({ attempt: 2 }), { kind: 'never_sent' }, { attempt: 1 })).toBeNull();
    expect(submitted(unknown(), { kind: 'ok', value: { id: '7', payment_status: 'wait' } })).toBeNull();
  });
});

describe('the documented 400', () => {
  const refused = (changes: Partial<Payout> = {}) => unknown({ refusedAt: NOW, ...changes });
  const refusal = (...fields: string[]) => ({
    kind: 'refused',
    message: 'm',
    errors: Object.fromEntries(fields.map((field) => [field, ['bad']])),
  });

  it('is remembered only while no earlier attempt could have been accepted', () => {
    expect(submitted(sending(), refusal('number'))?.set.refusedAt).toEqual(NOW);
    expect(submitted(sending({ possiblySent: true }), refusal('number'))?.set.refusedAt).toBeNull();
  });

  it('counts for nothing where it names order_id: one that is taken may be ours', () => {
    expect(submitted(sending(), refusal('order_id'))?.set.refusedAt).toBeNull();
    expect(submitted(sending(), refusal('number', 'order_id'))?.set.refusedAt).toBeNull();
  });

  it.each(['unclear', 'unauthorized', 'rate_limited'])('is the only refusal: %s is none', (kind) => {
    expect(submitted(sending(), { kind })?.set.refusedAt).toBeNull();
  });

  it('ends rejected once "not found" was seen often enough and long enough', () => {
    const row = refused({ notFoundCount: 1, notFoundSince: NOW });
    expect(checked(row, NOT_FOUND, { now: after(120_000) })).toMatchObject({
      to: 'rejected',
      set: { notFoundCount: 2, notFoundSince: NOW },
      next: null,
    });
  });

  it('stays unknown if "not found" was seen often, but not long enough', () => {
    const row = refused({ notFoundCount: 5, notFoundSince: NOW });
    expect(checked(row, NOT_FOUND, { now: after(119_999) })?.to).toBe('unknown');
  });

  it('stays unknown if "not found" was seen long ago, but too seldom', () => {
    const circumstances = { now: after(999_999), policy: { rejectAfterNotFound: 3 } };
    expect(checked(refused(), NOT_FOUND, circumstances)?.to).toBe('unknown');
    expect(checked(refused({ notFoundCount: 1, notFoundSince: NOW }), NOT_FOUND, circumstances)?.to).toBe('unknown');
    expect(checked(refused({ notFoundCount: 2, notFoundSince: NOW }), NOT_FOUND, circumstances)?.to).toBe('rejected');
  });

  it('is confirmed in time, however far apart the checks have come', () => {
    const policy = { checkSchedule: [3_600_000] };
    expect(pauseOf(checked(refused(), NOT_FOUND, { policy }))).toBe(120_000);
    expect(pauseOf(checked(unknown(), NOT_FOUND, { policy }))).toBeGreaterThan(3_000_000);
    // Nor is it asked more seldom than by the schedule.
    expect(pauseOf(checked(refused(), NOT_FOUND))).toBeLessThan(40_000);
  });

  it('does not end a payout of which the provider has spoken: a person looks first, and it is asked about', () => {
    const row = refused({ notFoundCount: 1, notFoundSince: NOW, attention: 'conflict_amount' });
    expect(checked(row, NOT_FOUND, { now: after(120_000) })).toMatchObject({
      to: 'unknown',
      set: { attention: 'conflict_amount' },
      next: { task: 'check' },
    });
  });

  it('answers the attention that it was open for long', () => {
    const row = refused({ notFoundCount: 1, notFoundSince: NOW, attention: 'overdue' });
    expect(checked(row, NOT_FOUND, { now: after(120_000) })).toMatchObject({
      to: 'rejected',
      set: { attention: null },
    });
  });

  it('ends by the provider if it exists after all', () => {
    expect(checked(refused(), answered())).toMatchObject({ to: 'paid', set: { refusedAt: null } });
  });
});

describe('a check', () => {
  it('"not found" after maybe-sent stays unknown, and calls a person once confirmed', () => {
    const row = unknown({ notFoundCount: 1, notFoundSince: NOW, checkCount: 1 });
    expect(checked(row, NOT_FOUND, { now: after(120_000) })).toMatchObject({
      to: 'unknown',
      set: { attention: 'not_found', notFoundCount: 2, notFoundSince: NOW, checkCount: 2 },
      next: { task: 'check' },
    });
  });

  it('"not found" for the first time calls nobody', () => {
    expect(checked(unknown(), NOT_FOUND)?.set).toMatchObject({
      attention: null,
      notFoundCount: 1,
      notFoundSince: NOW,
    });
  });

  it('"not found" does not hide why a person was called before', () => {
    const row = unknown({ notFoundCount: 1, notFoundSince: NOW, attention: 'conflict_amount' });
    expect(checked(row, NOT_FOUND, { now: after(120_000) })?.set.attention).toBe('conflict_amount');
  });

  it('"not found" never ends nor resubmits what the provider had, be it as often as it will', () => {
    for (const refusedAt of [null, NOW]) {
      const row = waiting({ notFoundCount: 9, notFoundSince: NOW, refusedAt });
      expect(checked(row, NOT_FOUND, { now: after(999_999), policy: { onNotFound: 'resubmit' } })).toMatchObject({
        to: 'wait',
        set: { attention: 'not_found' },
        next: { task: 'check' },
      });
    }
  });

  it.each(['unclear', 'never_sent', 'unauthorized', 'rate_limited'])('that fails (%s) changes no status', (kind) => {
    expect(checked(unknown(), { kind })).toMatchObject({ to: 'unknown', next: { task: 'check' } });
    expect(checked(waiting(), { kind })?.to).toBe('wait');
  });

  it.each(['unclear', 'never_sent', 'unauthorized', 'rate_limited', 'refused'])(
    'that fails (%s) is no "not found"',
    (kind) => {
      const row = unknown({ notFoundCount: 1, notFoundSince: NOW, refusedAt: NOW });
      const decision = checked(row, { kind, errors: {} }, { now: after(120_000) });
      expect(decision).toMatchObject({ to: 'unknown', set: { attention: null }, event: null });
      expect(decision?.set).not.toHaveProperty('notFoundCount');
    },
  );

  it.each(PAYOUT_STATUSES.filter((status) => status !== 'wait' && status !== 'unknown'))(
    'that fails says nothing of a payout that is %s',
    (status) => {
      for (const kind of ['unclear', 'not_found']) expect(checked(payout({ status }), { kind })).toBeNull();
    },
  );

  it('walks the schedule and repeats its last pause', () => {
    const pause = (checkCount: number): number => pauseOf(checked(unknown({ checkCount }), { kind: 'unclear' }));
    expect(pause(0)).toBeGreaterThanOrEqual(27_000);
    expect(pause(50)).toBeGreaterThanOrEqual(27_000);
    expect(pause(50)).toBeLessThanOrEqual(33_000);
  });

  it('begins the schedule anew where the status has changed', () => {
    const heard = notified(unknown({ checkCount: 50 }), { status: 'wait' });
    expect(heard).toMatchObject({ to: 'wait', set: { checkCount: 0 }, next: { task: 'check' } });
    expect(pauseOf(heard)).toBeLessThanOrEqual(11_000);
  });

  it('raises attention beyond the age limit and goes on asking', () => {
    const at = (ms: number) => checked(waiting(), { kind: 'unclear' }, { now: after(ms) });
    expect(at(86_400_000)?.set.attention).toBeNull();
    expect(at(86_400_001)).toMatchObject({ to: 'wait', set: { attention: 'overdue' }, next: { task: 'check' } });
  });

  it('does not hide by the age why a person was called before', () => {
    const row = waiting({ attention: 'conflict_amount' });
    const decision = checked(row, { kind: 'unclear' }, { now: after(86_400_001) });
    expect(decision).toMatchObject({ set: { attention: 'conflict_amount' }, event: null });
  });
});

describe('"not found" where the host has chosen to resubmit', () => {
  const missing = (changes: Partial<Payout> = {}, policy: object = {}) =>
    checked(unknown({ notFoundCount: 1, notFoundSince: NOW, ...changes }), NOT_FOUND, {
      now: after(120_000),
      policy: { onNotFound: 'resubmit', ...policy },
    });

  it('queues it again, and the count of "not found" begins anew', () => {
    const decision = missing();
    expect(decision).toMatchObject({
      to: 'queued',
      set: { notFoundCount: 0, notFoundSince: null, attention: null },
      next: { task: 'submit' },
    });
    expect(decision?.set).not.toHaveProperty('possiblySent');
  });

  it('waits longer with every attempt', () => {
    expect(pauseOf(missing({ attempt: 4 }))).toBeGreaterThan(2 * pauseOf(missing()));
  });

  it('only once it is confirmed', () => {
    expect(missing({ notFoundCount: 0 })?.to).toBe('unknown');
    expect(missing({ notFoundSince: after(1) })?.to).toBe('unknown');
  });

  it('as often as the host allows, then a person is called', () => {
    expect(missing({ attempt: 2 }, { maxResubmissions: 3 })?.to).toBe('queued');
    expect(missing({ attempt: 3 }, { maxResubmissions: 3 })).toMatchObject({
      to: 'unknown',
      set: { attention: 'not_found' },
    });
  });

  it('counts no attempt that was proven never sent', () => {
    expect(missing({ attempt: 9, unsentCount: 7 }, { maxResubmissions: 3 })?.to).toBe('queued');
    expect(missing({ attempt: 9, unsentCount: 6 }, { maxResubmissions: 3 })?.to).toBe('unknown');
  });

  it('answers the attention that only said that nobody knows', () => {
    expect(missing({ attention: 'unauthorized' })).toMatchObject({ to: 'queued', set: { attention: null } });
  });

  it('not while a conflict waits for a person: it is asked about instead', () => {
    expect(missing({ attention: 'conflict_amount' })).toMatchObject({
      to: 'unknown',
      set: { attention: 'conflict_amount' },
      next: { task: 'check' },
    });
  });

  it('not what was refused: that ends rejected', () => {
    expect(missing({ refusedAt: NOW })?.to).toBe('rejected');
  });
});

describe('a lease', () => {
  it('that has run out makes the payout unknown and possibly sent, and it is asked about at once', () => {
    expect(run(sending(), { type: 'lease_expired' }, { now: after(1_000) })).toMatchObject({
      to: 'unknown',
      set: { possiblySent: true, checkCount: 0 },
      next: { task: 'check', afterMs: 0 },
    });
  });

  it('that still runs changes nothing', () => {
    expect(run(sending(), { type: 'lease_expired' }, { now: after(999) })).toBeNull();
  });

  it.each(PAYOUT_STATUSES.filter((status) => status !== 'sending'))('is nothing to a payout that is %s', (status) => {
    for (const leaseUntil of [null, NOW]) {
      expect(run(payout({ status, leaseUntil }), { type: 'lease_expired' }, { now: after(1) })).toBeNull();
    }
  });
});
