import type { Alarm } from '../../src/payouts/attention.js';
import { StaleRevisionError, StateConflictError } from '../../src/alikassa.errors.js';
import {
  acknowledgedBy,
  CLAIMED,
  decidedBy,
  pauseOf,
  payout,
  run,
  sending,
  unknown,
  waiting,
  withdrawnBy,
} from '../helpers/decisions.js';

const OUTCOMES = ['resubmit', 'paid', 'fail'] as const;

describe('a person', () => {
  it('resubmits an unknown payout, and it stays possibly sent', () => {
    const row = unknown({ attention: ['not_found'], unsentCount: 2, notFoundCount: 3, notFoundSince: new Date() });
    const decision = decidedBy(row, 'resubmit');
    expect(decision).toMatchObject({
      to: 'queued',
      set: { attention: [], unsentCount: 0, notFoundCount: 0, notFoundSince: null, refusedAt: null },
      next: { task: 'submit', afterMs: 0 },
    });
    expect(decision?.set).not.toHaveProperty('possiblySent');
  });

  it('resubmits a queued payout that is held', () => {
    expect(decidedBy(payout({ attention: ['retries_used_up'] }), 'resubmit')).toMatchObject({
      to: 'queued',
      set: { attention: [] },
    });
  });

  it.each(['paid', 'fail'] as const)('ends an unknown payout as %s', (outcome) => {
    expect(decidedBy(unknown({ attention: ['not_found'] }), outcome)).toMatchObject({
      to: outcome,
      set: { attention: [] },
    });
  });

  it.each(['paid', 'fail'] as const)('ends as %s what the provider has, once it calls for a person', (outcome) => {
    expect(decidedBy(waiting({ attention: ['overdue'] }), outcome)?.to).toBe(outcome);
  });

  it('never resubmits what the provider has, nor ends what is queued', () => {
    expect(() => decidedBy(waiting({ attention: ['overdue'] }), 'resubmit')).toThrow(StateConflictError);
    for (const outcome of ['paid', 'fail'] as const) {
      expect(() => decidedBy(payout({ attention: ['retries_used_up'] }), outcome)).toThrow(StateConflictError);
    }
  });

  it('may not touch what the machine still works on', () => {
    for (const row of [payout(), sending(), sending({ attention: ['conflict_amount'] }), waiting()]) {
      for (const outcome of OUTCOMES) expect(() => decidedBy(row, outcome)).toThrow(StateConflictError);
    }
  });

  it('is asked about for days yet what a person has ended: that was not the word of the provider', () => {
    for (const outcome of ['paid', 'fail'] as const) {
      const decision = decidedBy(unknown(), outcome);
      expect(decision).toMatchObject({ set: { endedBy: 'person', checkCount: 0 }, next: { task: 'check' } });
      expect(pauseOf(decision)).toBeGreaterThanOrEqual(3_200_000);
    }
  });

  it('never resubmits a payout that the provider has given an id', () => {
    expect(() => decidedBy(unknown({ providerId: '7' }), 'resubmit')).toThrow('The provider has given it an id.');
    expect(() => decidedBy(payout({ providerId: '7', attention: ['late_answer'] }), 'resubmit')).toThrow(
      StateConflictError,
    );
  });

  it('cannot change a final status', () => {
    const row = payout({ status: 'fail', attention: ['conflict_status'] });
    for (const outcome of OUTCOMES) expect(() => decidedBy(row, outcome)).toThrow(StateConflictError);
  });

  it('is refused what was decided on another revision than the one that stands', () => {
    for (const seen of [0, 2]) {
      const row = unknown({ revision: 1 });
      for (const outcome of OUTCOMES) expect(() => decidedBy(row, outcome, seen)).toThrow(StaleRevisionError);
      const withdrawal = { type: 'withdrawal', decision: 'd', revision: seen } as const;
      expect(() => run(payout({ revision: 1 }), withdrawal)).toThrow(StaleRevisionError);
    }
    expect(() => decidedBy(unknown({ revision: 3 }), 'fail', 2)).toThrow(
      `Payout ${unknown().id} was looked at as of revision 2 and is at revision 3 now. Look at it again, then decide.`,
    );
  });
});

describe('an alarm', () => {
  it('is closed by its name, and nothing else changes', () => {
    for (const row of [unknown, waiting, payout]) {
      const attention: Alarm[] = ['conflict_amount', 'paid_in_part'];
      const status = row === payout ? { status: 'paid' as const } : {};
      expect(acknowledgedBy(row({ ...status, attention }), 'paid_in_part')).toMatchObject({
        to: row(status).status,
        set: { attention: ['conflict_amount'] },
        next: 'keep',
        event: { type: 'person', detail: { outcome: 'acknowledge', alarms: ['paid_in_part'], reason: 'r' } },
      });
    }
  });

  it.each([
    'conflict_status',
    'late_answer',
    'attempts_unaccounted',
    'known_to_provider_before_sent',
    'recipient_unreadable',
  ] as const)('of something that was heard can be closed: %s', (alarm) => {
    expect(acknowledgedBy(waiting({ attention: [alarm] }), alarm)?.set.attention).toEqual([]);
  });

  it.each(['not_found', 'overdue', 'unauthorized', 'retries_used_up', 'paused_unauthorized'] as const)(
    'that says how the payout stands cannot: %s',
    (alarm) => {
      expect(() => acknowledgedBy(waiting({ attention: [alarm] }), alarm)).toThrow(
        `Payout ${payout().id}: "${alarm}" says how the payout stands`,
      );
    },
  );

  it('that the payout does not carry closes nothing', () => {
    const row = waiting({ attention: ['conflict_amount'] });
    expect(() => acknowledgedBy(row, 'conflict_amount', 'paid_in_part')).toThrow('does not carry "paid_in_part"');
  });

  it('of a payout that the machine may send is no longer closed: that would send it', () => {
    for (const row of [payout, sending]) {
      expect(() => acknowledgedBy(row({ attention: ['conflict_amount'] }), 'conflict_amount')).toThrow(
        'its alarms keep it from being sent',
      );
    }
  });
});

describe('a withdrawal', () => {
  it.each([[], ['retries_used_up'], ['recipient_unreadable'], ['paused_unauthorized']] as Alarm[][])(
    'takes back what was never sent, and nobody is called any more: %s',
    (...attention) => {
      expect(withdrawnBy(payout({ attention }))).toMatchObject({
        to: 'withdrawn',
        set: { attention: [], endedBy: 'withdrawal' },
        next: null,
      });
    },
  );

  it('is refused for anything that may have been sent', () => {
    for (const row of [payout({ possiblySent: true }), sending(), unknown(), waiting(), payout({ status: 'paid' })]) {
      expect(() => withdrawnBy(row)).toThrow(StateConflictError);
    }
  });

  it('is refused while a conflict says that the provider may know it', () => {
    for (const about of ['amount', 'account', 'order_id', 'provider_id'] as const) {
      expect(() => withdrawnBy(payout({ attention: [`conflict_${about}`] }))).toThrow(StateConflictError);
    }
  });
});

describe('what is refused is said with the payout, its state and what is open instead', () => {
  const { id } = payout();

  it('for a claim', () => {
    expect(() => run(unknown(), CLAIMED)).toThrow(
      `Payout ${id} is unknown: only a queued one that no person has to look at is sent.`,
    );
  });

  it('for a withdrawal', () => {
    expect(() => withdrawnBy(sending())).toThrow(
      `Payout ${id} is sending and may have been sent: only one that never was can be withdrawn.`,
    );
  });

  it('for the decision of a person', () => {
    const open = 'Only an unknown payout, or one held with attention, waits for a person.';
    expect(() => decidedBy(waiting(), 'paid')).toThrow(`Payout ${id} is wait: "paid" is not open to it. ${open}`);
    expect(() => decidedBy(waiting({ attention: ['overdue'] }), 'resubmit')).toThrow(
      `Payout ${id} is wait (overdue): "resubmit" is not open to it. The provider has given it an id. ${open}`,
    );
  });
});
