import type { Alarm } from '../../src/payouts/attention.js';
import type { Decision } from '../../src/payouts/payout.decision.js';
import {
  DECISION,
  after,
  answered,
  checked,
  CLAIMED,
  decidedBy,
  notified,
  NOW,
  payout,
  run,
  sending,
  submitted,
  unknown,
  waiting,
  withdrawnBy,
} from '../helpers/decisions.js';

/** The line as the database keeps it, where what is undefined is left out. */
const line = (decision: Decision | null): unknown => JSON.parse(JSON.stringify(decision?.event));
const trace = { phase: 'secured', duration_ms: 1, reason: 'test' };

describe('an auditor reads', () => {
  it('that a worker took the payout', () => {
    expect(line(run(payout(), CLAIMED))).toEqual({ type: 'claimed', detail: {} });
  });

  it('what the submission came to, how far its socket got and how long it took', () => {
    const outcome = { kind: 'unclear', reason: 'http_502', httpStatus: 502, phase: 'secured', durationMs: 12.6 };
    expect(line(submitted(sending(), outcome))).toEqual({
      type: 'submission',
      detail: { outcome: 'unclear', reason: 'http_502', http_status: 502, phase: 'secured', duration_ms: 13 },
    });
  });

  it("the provider's id of what it accepted", () => {
    expect(line(submitted(sending(), { kind: 'ok', value: { id: '7', payment_status: 'wait' } }))).toEqual({
      type: 'submission',
      detail: { ...trace, outcome: 'ok', provider_id: '7' },
    });
  });

  it("the provider's own words of what it refused", () => {
    const refusal = { message: 'The given data was invalid.', errors: { number: ['bad'] } };
    expect(line(submitted(sending(), { kind: 'refused', ...refusal }))).toEqual({
      type: 'submission',
      detail: { ...trace, outcome: 'refused', ...refusal },
    });
  });

  it('that an attempt never left', () => {
    expect(line(submitted(sending(), { kind: 'never_sent' }))).toEqual({
      type: 'submission',
      detail: { ...trace, outcome: 'never_sent' },
    });
  });

  it('that an attempt was cut short', () => {
    expect(line(run(sending(), { type: 'lease_expired' }, { now: after(1_000) }))).toEqual({
      type: 'lease_expired',
      detail: {},
    });
  });

  it('what the provider said, and by which way', () => {
    const detail = { payment_status: 'paid', provider_id: '7', payment_amount: '500.00' };
    expect(line(notified(unknown(), { paymentAmount: '500.00' }))).toEqual({ type: 'notification', detail });
    expect(line(checked(unknown(), answered({ payment_amount: '500.00' })))).toEqual({ type: 'check', detail });
  });

  it('what contradicted what was stored', () => {
    const detail = { conflict: 'amount', payment_status: 'paid', provider_id: '7' };
    for (const row of [waiting(), payout({ status: 'paid' })]) {
      expect(line(notified(row, { amount: '1' }))).toEqual({ type: 'notification', detail });
      expect(line(checked(row, answered({ amount: '1' })))).toEqual({ type: 'check', detail });
    }
  });

  it('that the provider does not have it: the first time, and when that calls a person', () => {
    const found = { type: 'check', detail: { ...trace, outcome: 'not_found' } };
    const notFound = (changes: object, ms: number) =>
      line(checked(unknown({ notFoundSince: NOW, ...changes }), { kind: 'not_found' }, { now: after(ms) }));
    expect(notFound({ notFoundSince: null }, 0)).toEqual(found);
    expect(notFound({ notFoundCount: 1 }, 1)).toBeNull();
    expect(notFound({ notFoundCount: 2 }, 120_000)).toEqual(found);
    expect(notFound({ notFoundCount: 3, attention: ['not_found'] }, 240_000)).toBeNull();
  });

  it('on what it was rejected or sent again', () => {
    const missing = (changes: object) =>
      line(
        checked(
          unknown({ notFoundCount: 1, notFoundSince: NOW, ...changes }),
          { kind: 'not_found' },
          { now: after(120_000), policy: { onNotFound: 'resubmit' } },
        ),
      );
    const detail = { ...trace, outcome: 'not_found' };
    expect(missing({ refusedAt: NOW })).toEqual({ type: 'check', detail });
    expect(missing({})).toEqual({ type: 'check', detail: { ...detail, resubmit: true } });
  });

  it('that a payout is open for too long, once', () => {
    const overdue = (attention: Alarm[]) =>
      line(checked(waiting({ attention }), { kind: 'unclear' }, { now: after(86_400_001) }));
    expect(overdue([])).toEqual({ type: 'check', detail: { attention: 'overdue' } });
    expect(overdue(['overdue'])).toBeNull();
  });

  it('nothing of a check that found nothing new', () => {
    expect(checked(unknown(), { kind: 'unclear' })?.event).toBeNull();
    expect(checked(waiting(), answered({ payment_status: 'wait' }))?.event).toBeNull();
  });

  it('why a payout was not sent', () => {
    expect(line(run(payout(), { type: 'paused', reason: 'unauthorized', afterMs: 1 }))).toEqual({
      type: 'paused',
      detail: { attention: 'paused_unauthorized' },
    });
    expect(line(run(payout(), { type: 'fault', attention: 'recipient_unreadable' }))).toEqual({
      type: 'fault',
      detail: { attention: 'recipient_unreadable' },
    });
  });

  it('who took it back', () => {
    expect(line(withdrawnBy(payout(), 'host'))).toEqual({
      type: 'withdrawal',
      actor: 'host',
      decision: DECISION,
      detail: {},
    });
  });

  it.each([
    ['resubmit', unknown()],
    ['fail', unknown()],
    ['paid', waiting({ attention: ['overdue'] })],
  ] as const)('who decided %s, and why', (outcome, row) => {
    const detail = { outcome, reason: 'r' };
    expect(line(decidedBy(row, outcome))).toEqual({ type: 'person', actor: 'op', decision: DECISION, detail });
  });
});
