import type { Decision } from '../../src/payouts/payout.decision.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence, ProviderFacts } from '../../src/payouts/payout.evidence.js';
import { answered, facts, payout, run, sending, unknown } from '../helpers/decisions.js';

describe('with confirmNotifications, a notification', () => {
  const hinted = (row: Payout, changes: Partial<ProviderFacts> = {}): Decision | null =>
    run(row, { type: 'notification', facts: facts(changes) }, { policy: { confirmNotifications: true } });

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
      set: { possiblySent: true, attention: ['known_to_provider_before_sent'] },
      next: { task: 'check', afterMs: 0 },
    });
  });

  it('of a payout on its way waits for the answer of that attempt', () => {
    expect(hinted(sending())).toBeNull();
  });

  it('against a final status calls a person, as ever', () => {
    expect(hinted(payout({ status: 'fail', providerId: '7' }))).toMatchObject({
      to: 'fail',
      set: { attention: ['conflict_status'] },
    });
  });
});

describe('a check that a person asked for', () => {
  const asked = (outcome: object): Evidence => ({ type: 'check', outcome, actor: 'op' }) as Evidence;

  it('names the person in what it changed', () => {
    const found = answered();
    expect(run(unknown(), asked(found))).toMatchObject({ to: 'paid', event: { type: 'check', actor: 'op' } });
  });

  it('is in the history though nothing new was said, where one of the machine is not', () => {
    const silent = { kind: 'unclear' };
    const detail = expect.objectContaining({ outcome: 'unclear' }) as object;
    expect(run(unknown(), asked(silent))?.event).toEqual({ type: 'check', actor: 'op', detail });
    expect(run(unknown(), { type: 'check', outcome: silent } as Evidence)?.event).toBeNull();
  });

  it('leaves no trace where it changes nothing', () => {
    const same = answered();
    expect(run(payout({ status: 'paid', providerId: '7' }), asked(same))).toBeNull();
  });
});
