import { decide, type DecisionPolicy } from '../../src/payouts/payout.decision.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { NOW, payout, POLICY, sending, unknown, waiting } from '../helpers/decisions.js';

const outcome = { kind: 'never_sent', reason: 'ECONNREFUSED', phase: 'none', durationMs: 1.4 } as const;
const decided = (row: Payout, policy: DecisionPolicy = POLICY) =>
  decide(row, { type: 'unopened', outcome }, policy, NOW);
const EVENT = {
  type: 'submission',
  detail: { outcome: 'never_sent', reason: 'ECONNREFUSED', http_status: undefined, phase: 'none', duration_ms: 1 },
};

describe('a connection that could not be opened', () => {
  it('leaves the payout queued, without an attempt, and is tried again later', () => {
    expect(decided(payout())).toEqual({
      to: 'queued',
      set: { unsentCount: 1, attention: [] },
      next: { task: 'submit', afterMs: expect.any(Number) as number },
      event: EVENT,
    });
  });

  it.each([1, 2, 5, 20])('waits longer with every failure, five minutes at most (%d)', (failures) => {
    const most = Math.min(300_000, 1_000 * 2 ** failures);
    const { next } = decided(payout({ unsentCount: failures }), { ...POLICY, maxUnsentAttempts: 100 })!;
    expect(next).toMatchObject({ task: 'submit' });
    const { afterMs } = next as { afterMs: number };
    expect([afterMs >= most * 0.9, afterMs <= most * 1.1]).toEqual([true, true]);
  });

  it('calls a person when it was tried as often as configured', () => {
    expect(decided(payout({ unsentCount: POLICY.maxUnsentAttempts - 2 }))?.set.attention).toEqual([]);
    expect(decided(payout({ unsentCount: POLICY.maxUnsentAttempts - 1 }))).toMatchObject({
      to: 'queued',
      set: { unsentCount: POLICY.maxUnsentAttempts, attention: ['retries_used_up'] },
      next: null,
    });
  });

  it('after a pause of the account: the pause is over, and the payout is tried again all the same', () => {
    expect(decided(payout({ attention: ['paused_unauthorized'] }))).toMatchObject({
      set: { attention: [] },
      next: { task: 'submit' },
    });
  });

  it('of a payout that an earlier attempt may have sent proves nothing: it is asked about', () => {
    expect(decided(payout({ attempt: 1, possiblySent: true }))).toEqual({
      to: 'unknown',
      set: { checkCount: 0, refusedAt: null, attention: [] },
      next: { task: 'check', afterMs: expect.any(Number) as number },
      event: EVENT,
    });
  });

  it.each<[string, Payout]>([
    ['is on its way by now', sending()],
    ['is unknown by now', unknown()],
    ['is with the provider by now', waiting()],
    ['was withdrawn', payout({ status: 'withdrawn' })],
    ['waits for a person', payout({ attention: ['conflict_amount'] })],
  ])('changes nothing about a payout that %s', (_, row) => {
    expect(decided(row)).toBeNull();
  });
});
