import { isSendable } from '../../src/payouts/payout.unsent.js';
import { PAYOUT_STATUSES } from '../../src/payouts/payout.status.js';
import {
  after,
  checked,
  NOW,
  pauseOf,
  payout,
  run,
  sending,
  submitted,
  unknown,
  waiting,
} from '../helpers/decisions.js';

const refused = { kind: 'refused', message: 'm', errors: {} };
const accepted = { kind: 'ok', value: { id: '7', payment_status: 'wait' } };

describe('an answer that would meet every call of the account pauses it', () => {
  it.each([
    ['a submission', submitted, sending()],
    ['a check', checked, unknown()],
    ['a check of what the provider has', checked, waiting()],
  ] as const)('%s', (_, answer, row) => {
    expect(answer(row, { kind: 'unauthorized' })?.pause).toEqual({
      to: 'paused',
      reason: 'unauthorized',
      forMs: 60_000,
      isExact: false,
    });
    expect(answer(row, { kind: 'rate_limited' })?.pause).toEqual({
      to: 'paused',
      reason: 'rate_limited',
      forMs: 60_000,
      isExact: false,
    });
  });

  it.each([
    ['a submission', submitted, sending()],
    ['a check', checked, unknown()],
  ] as const)('for as long as the provider asks, to %s', (_, answer, row) => {
    for (const retryAfterMs of [90_000, 0]) {
      expect(answer(row, { kind: 'rate_limited', retryAfterMs })?.pause).toEqual({
        to: 'paused',
        reason: 'rate_limited',
        forMs: retryAfterMs,
        isExact: true,
      });
    }
  });

  it('and the payout itself is not asked about before that', () => {
    expect(pauseOf(submitted(sending(), { kind: 'rate_limited', retryAfterMs: 90_000 }))).toBe(90_000);
    expect(pauseOf(checked(unknown(), { kind: 'rate_limited', retryAfterMs: 90_000 }))).toBe(90_000);
    // Nor sooner than by the schedule.
    expect(pauseOf(checked(unknown(), { kind: 'rate_limited', retryAfterMs: 1 }))).toBeGreaterThanOrEqual(27_000);
  });

  it('401 and 403 call a person, 429 does not', () => {
    expect(submitted(sending(), { kind: 'unauthorized' })?.set.attention).toBe('unauthorized');
    expect(submitted(sending(), { kind: 'rate_limited' })?.set.attention).toBeNull();
    expect(submitted(sending(), { kind: 'unclear' })?.set.attention).toBeNull();
  });

  it.each(['unclear', 'never_sent', 'not_found'])('%s says nothing of the account', (kind) => {
    for (const possiblySent of [false, true])
      expect(submitted(sending({ possiblySent }), { kind })?.pause).toBeUndefined();
    expect(checked(unknown(), { kind })?.pause).toBeUndefined();
  });
});

describe('an answer to the request itself lifts the pause', () => {
  it.each([
    ['accepted', accepted],
    ['refused', refused],
  ])('%s: one that had begun before the request was claimed', (_, outcome) => {
    const row = sending({ leaseUntil: after(45_000) });
    expect(submitted(row, outcome, { now: after(20_000) })?.pause).toEqual({ to: 'lifted', claimedAt: after(-15_000) });
  });

  it('but not the answer to a status call: that is no submission', () => {
    expect(checked(unknown(), refused)?.pause).toBeUndefined();
  });
});

describe('a queued payout of a paused account', () => {
  const paused = (attention: string | null, afterMs = 10_000) =>
    run(payout({ attention }), { type: 'paused', reason: 'rate_limited', afterMs });

  it('says why it waits, stays sendable, and tries again when the pause is over', () => {
    const decision = paused(null);
    expect(decision).toMatchObject({
      to: 'queued',
      set: { attention: 'paused_rate_limited' },
      next: { task: 'submit' },
    });
    expect(isSendable(payout({ ...decision?.set }))).toBe(true);
    expect(Math.abs(pauseOf(decision) - 10_000)).toBeLessThanOrEqual(1_000);
  });

  it('says it once: a further pause for the same reason is no event', () => {
    expect(paused('paused_rate_limited')).toMatchObject({
      set: { attention: 'paused_rate_limited' },
      next: { task: 'submit' },
      event: null,
    });
    expect(paused('paused_unauthorized')?.event).not.toBeNull();
  });

  it.each(['retries_used_up', 'conflict_amount'])('does not hide why it waits for a person: %s', (attention) => {
    expect(isSendable(payout({ attention }))).toBe(false);
    expect(paused(attention)).toBeNull();
  });

  it.each(PAYOUT_STATUSES.filter((status) => status !== 'queued'))('is none that is %s', (status) => {
    expect(isSendable(payout({ status }))).toBe(false);
    expect(run(payout({ status }), { type: 'paused', reason: 'unauthorized', afterMs: 1 }, { now: NOW })).toBeNull();
  });
});
