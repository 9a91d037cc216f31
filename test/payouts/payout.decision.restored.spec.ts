import {
  ACCOUNT,
  after,
  answered,
  checked,
  decidedBy,
  NOW,
  notified,
  pauseOf,
  payout,
  run,
  sending,
  TOKEN,
  unknown,
  waiting,
  withdrawnBy,
} from '../helpers/decisions.js';
import { isLostAttempt, reliesOnOwnRecords } from '../../src/payouts/decision/restored.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';

const restored: Evidence = { type: 'restored', epoch: 2, afterMs: 70 };
const sent: Evidence = { ...restored, isSent: true };
const doubted = (changes: Partial<Payout> = {}): Payout =>
  payout({ status: 'unknown', epoch: 2, doubtedAt: NOW, ...changes });
const NOT_FOUND = { kind: 'not_found' };
/** Confirmed, once it is seen again. */
const SEEN = { notFoundCount: 1, notFoundSince: after(-120_000), checkCount: 1 };

describe('a database that went back', () => {
  it('a queued payout is doubted, and asked about when it is its turn', () => {
    const decision = run(payout({ notFoundCount: 3, notFoundSince: after(-1) }), restored);
    expect(decision).toEqual({
      to: 'unknown',
      set: { epoch: 2, checkCount: 0, notFoundCount: 0, notFoundSince: null, doubtedAt: NOW },
      next: { task: 'check', afterMs: 70 },
      event: { type: 'restored', detail: { epoch: 2 } },
    });
  });

  it('a queued one of which an attempt may have been sent is unknown, and not doubted', () => {
    expect(run(payout(), sent)).toMatchObject({ to: 'unknown', set: { possiblySent: true, doubtedAt: null } });
  });

  it.each([
    ['unknown', unknown({ epoch: 1 }), 'unknown'],
    ['wait', waiting({ epoch: null }), 'wait'],
  ])('%s is asked about anew, and "not found" from before is forgotten', (_, row, to) => {
    const decision = run(row, restored);
    expect(decision).toMatchObject({ to, set: { epoch: 2, notFoundCount: 0, notFoundSince: null, checkCount: 0 } });
    expect(decision?.set).not.toHaveProperty('possiblySent');
    expect(decision?.set).not.toHaveProperty('doubtedAt');
  });

  it('the alarm that the provider does not have it goes, until that is confirmed anew: a person must not decide on it', () => {
    const row = unknown({ epoch: 1, attention: ['not_found', 'recipient_unreadable'] });
    expect(run(row, restored)?.set.attention).toEqual(['recipient_unreadable']);
    expect(run(unknown({ epoch: 1, attention: ['unauthorized'] }), restored)?.set).not.toHaveProperty('attention');
  });

  it.each([
    ['unknown', unknown({ epoch: 2 })],
    ['wait', waiting({ epoch: 2 })],
    ['paid', payout({ status: 'paid' })],
    ['withdrawn', payout({ status: 'withdrawn' })],
  ])('%s that was asked about in this epoch, or is final, stays', (_, row) => {
    expect(run(row, restored)).toBeNull();
  });

  it('an attempt under way is let end; if another may have been sent, it proves nothing any more', () => {
    expect(run(sending(), restored)).toBeNull();
    expect(run(sending({ leaseUntil: after(60_000) }), restored)).toBeNull();
    expect(run(sending(), sent)).toMatchObject({ to: 'sending', set: { possiblySent: true }, next: 'keep' });
    expect(run(sending({ possiblySent: true }), sent)).toBeNull();
  });

  it.each([
    ['is over', after(0)],
    ['no claim of ours has given', after(60_001)],
  ])('an attempt whose lease %s may have been sent', (_, leaseUntil) => {
    expect(run(sending({ leaseUntil }), restored)).toMatchObject({
      to: 'unknown',
      set: { possiblySent: true, doubtedAt: null, refusedAt: null, epoch: 2 },
    });
  });
});

describe('a doubted payout', () => {
  it('is asked about again before "not found" is confirmed, no later than it can be', () => {
    const first = checked(doubted(), NOT_FOUND);
    expect(first).toMatchObject({
      to: 'unknown',
      set: { notFoundCount: 1, notFoundSince: NOW, checkCount: 1 },
      event: { type: 'check' },
    });
    const second = checked(doubted({ ...SEEN, notFoundSince: after(-119_000) }), NOT_FOUND);
    expect(second).toMatchObject({ to: 'unknown', next: { task: 'check', afterMs: 1_000 }, event: null });
    const often = checked(doubted({ ...SEEN, notFoundCount: 0 }), NOT_FOUND);
    expect(often?.to).toBe('unknown');
    expect(pauseOf(often)).toBeGreaterThan(20_000);
  });

  it('is queued again when it is confirmed, and goes out', () => {
    expect(checked(doubted({ ...SEEN, attention: ['overdue'] }), NOT_FOUND)).toEqual({
      to: 'queued',
      set: { notFoundCount: 0, notFoundSince: null, checkCount: 0, doubtedAt: null, attention: [] },
      next: { task: 'submit', afterMs: 0 },
      event: { type: 'check', detail: expect.objectContaining({ queued_again: true }) as object },
    });
  });

  it.each([
    ['recipient_unreadable', ['recipient_unreadable'], null],
    ['retries_used_up', ['retries_used_up'], null],
    ['paused_unauthorized', [], { task: 'submit', afterMs: 0 }],
    ['not_found', [], { task: 'submit', afterMs: 0 }],
  ] as const)('that was held by %s is held by %s after that', (alarm, kept, next) => {
    expect(checked(doubted({ ...SEEN, attention: [alarm] }), NOT_FOUND)).toMatchObject({
      to: 'queued',
      set: { attention: kept },
      next,
    });
  });

  it('of which the provider has said something else is for a person', () => {
    const row = doubted({ ...SEEN, attention: ['conflict_amount'] });
    expect(checked(row, NOT_FOUND)).toMatchObject({
      to: 'unknown',
      set: { attention: ['conflict_amount', 'not_found'] },
    });
    expect(decidedBy(row, 'resubmit')).toMatchObject({ to: 'queued' });
  });

  it('of which the provider has named an id is for a person', () => {
    expect(checked(doubted({ ...SEEN, heard: ['9:wait'] }), NOT_FOUND)?.to).toBe('unknown');
  });

  it('that the provider has is settled, and calls a person if it was never sent here', () => {
    for (const decision of [checked(doubted(), answered()), notified(doubted())]) {
      expect(decision).toMatchObject({
        to: 'paid',
        set: { attention: ['known_to_provider_before_sent'], doubtedAt: null, possiblySent: true },
      });
    }
    expect(checked(doubted({ possiblySent: true }), answered())).toMatchObject({ set: { attention: [] } });
  });

  it('is neither withdrawn nor resubmitted meanwhile; a person may end it', () => {
    expect(() => withdrawnBy(doubted())).toThrow('is being asked about');
    expect(() => decidedBy(doubted(), 'resubmit')).toThrow('is being asked about');
    expect(decidedBy(doubted(), 'fail')).toMatchObject({ to: 'fail' });
  });

  it('stays so while there is no answer', () => {
    expect(checked(doubted(), { kind: 'unclear' })).toMatchObject({ to: 'unknown', set: { checkCount: 1 } });
  });
});

describe('an attempt that the row does not know', () => {
  const evidence = { type: 'submission', attempt: 2, token: TOKEN, outcome: {} as never } as const;

  it.each([
    ['fewer attempts', payout({ attempt: 1 }), true],
    ['another claim of this number', sending({ attempt: 2, attemptToken: ACCOUNT }), true],
    ['this claim', sending({ attempt: 2 }), false],
    ['more attempts', sending({ attempt: 3 }), false],
    ['this attempt, and it is over', unknown({ attempt: 2 }), false],
  ])('is told by a row with %s', (_, row, isLost) => {
    expect(isLostAttempt(row, evidence)).toBe(isLost);
  });
});

it.each([
  ['queued', 'sending', 'claimed', true],
  ['queued', 'withdrawn', 'withdrawal', true],
  ['unknown', 'rejected', 'check', true],
  ['unknown', 'fail', 'person', true],
  ['unknown', 'fail', 'check', false],
  ['unknown', 'paid', 'person', false],
  ['fail', 'fail', 'person', false],
  ['queued', 'unknown', 'restored', false],
] as const)('from %s to %s by %s relies on our own records: %s', (status, to, type, relies) => {
  expect(reliesOnOwnRecords(payout({ status }), { to, event: { type, detail: {} } })).toBe(relies);
});
