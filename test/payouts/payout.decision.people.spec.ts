import { StateConflictError } from '../../src/alikassa.errors.js';
import { decidedBy, payout, run, sending, unknown, waiting } from '../helpers/decisions.js';

const OUTCOMES = ['resubmit', 'paid', 'fail'] as const;

describe('a person', () => {
  it('resubmits an unknown payout, and it stays possibly sent', () => {
    const row = unknown({ attention: 'not_found', unsentCount: 2, notFoundCount: 3, notFoundSince: new Date() });
    const decision = decidedBy(row, 'resubmit');
    expect(decision).toMatchObject({
      to: 'queued',
      set: { attention: null, unsentCount: 0, notFoundCount: 0, notFoundSince: null, refusedAt: null },
      next: { task: 'submit', afterMs: 0 },
    });
    expect(decision?.set).not.toHaveProperty('possiblySent');
  });

  it('resubmits a queued payout that is held', () => {
    expect(decidedBy(payout({ attention: 'retries_used_up' }), 'resubmit')).toMatchObject({
      to: 'queued',
      set: { attention: null },
    });
  });

  it.each(['paid', 'fail'] as const)('ends an unknown payout as %s', (outcome) => {
    expect(decidedBy(unknown({ attention: 'not_found' }), outcome)).toMatchObject({
      to: outcome,
      set: { attention: null },
      next: null,
    });
  });

  it.each(['paid', 'fail'] as const)('ends as %s what the provider has, once it calls for a person', (outcome) => {
    expect(decidedBy(waiting({ attention: 'overdue' }), outcome)?.to).toBe(outcome);
  });

  it('never resubmits what the provider has, nor ends what is queued', () => {
    expect(() => decidedBy(waiting({ attention: 'overdue' }), 'resubmit')).toThrow(StateConflictError);
    for (const outcome of ['paid', 'fail'] as const) {
      expect(() => decidedBy(payout({ attention: 'retries_used_up' }), outcome)).toThrow(StateConflictError);
    }
  });

  it('may not touch what the machine still works on', () => {
    for (const row of [payout(), sending(), sending({ attention: 'conflict_amount' }), waiting()]) {
      for (const outcome of OUTCOMES) expect(() => decidedBy(row, outcome)).toThrow(StateConflictError);
    }
  });

  it('cannot change a final status, only acknowledge it', () => {
    const row = payout({ status: 'fail', attention: 'conflict_status' });
    expect(() => decidedBy(row, 'paid')).toThrow(StateConflictError);
    expect(() => decidedBy(row, 'resubmit')).toThrow(StateConflictError);
    expect(decidedBy(row, 'fail')).toMatchObject({ to: 'fail', set: { attention: null }, next: null });
  });

  it('has nothing to acknowledge where nobody was called', () => {
    for (const status of ['paid', 'fail'] as const) {
      expect(() => decidedBy(payout({ status }), status)).toThrow(StateConflictError);
    }
  });
});

describe('a withdrawal', () => {
  const withdrawal = { type: 'withdrawal', actor: 'host' } as const;

  it.each([null, 'retries_used_up', 'recipient_unreadable', 'paused_unauthorized'])(
    'takes back what was never sent (attention: %s), and nobody is called any more',
    (attention) => {
      expect(run(payout({ attention }), withdrawal)).toMatchObject({
        to: 'withdrawn',
        set: { attention: null },
        next: null,
      });
    },
  );

  it('is refused for anything that may have been sent', () => {
    for (const row of [payout({ possiblySent: true }), sending(), unknown(), waiting(), payout({ status: 'paid' })]) {
      expect(() => run(row, withdrawal)).toThrow(StateConflictError);
    }
  });

  it('is refused while a conflict says that the provider may know it', () => {
    for (const about of ['amount', 'account', 'order_id', 'provider_id']) {
      expect(() => run(payout({ attention: `conflict_${about}` }), withdrawal)).toThrow(StateConflictError);
    }
  });
});

describe('what is refused is said with the payout, its state and what is open instead', () => {
  const { id } = payout();

  it('for a claim', () => {
    expect(() => run(unknown(), { type: 'claimed' })).toThrow(
      `Payout ${id} is unknown: only a queued one that no person has to look at is sent.`,
    );
  });

  it('for a withdrawal', () => {
    expect(() => run(sending(), { type: 'withdrawal' })).toThrow(
      `Payout ${id} is sending and may have been sent: only one that never was can be withdrawn.`,
    );
  });

  it('for the decision of a person', () => {
    const open = 'Only an unknown payout, or one held with attention, waits for a person.';
    expect(() => decidedBy(waiting(), 'paid')).toThrow(`Payout ${id} is wait: "paid" is not open to it. ${open}`);
    expect(() => decidedBy(waiting({ attention: 'overdue' }), 'resubmit')).toThrow(
      `Payout ${id} is wait (overdue): "resubmit" is not open to it. ${open}`,
    );
  });
});
