import type { Alarm } from '../../src/payouts/attention.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import {
  after,
  next,
  ACCOUNT,
  answered,
  checked,
  NOW,
  notified,
  pauseOf,
  payout,
  run,
  sending,
  submitted,
  unknown,
  waiting,
} from '../helpers/decisions.js';

describe("the provider's word", () => {
  it.each(['queued', 'sending', 'wait', 'unknown'] as const)('settles a payout that is %s', (status) => {
    expect(notified(payout({ status }))).toMatchObject({
      to: 'paid',
      set: { providerId: '7', possiblySent: true },
      next: null,
    });
  });

  it.each(['cancel', 'fail'] as const)('%s ends what may have been sent', (status) => {
    expect(notified(unknown(), { status })?.to).toBe(status);
    expect(notified(waiting(), { status })?.to).toBe(status);
  });

  it('a notification before our own submission has its answer settles, and calls nobody', () => {
    expect(notified(sending())).toMatchObject({ to: 'paid', set: { attention: [] } });
  });

  it('knows a payout that was never sent: a person must look, and it is not sent', () => {
    expect(notified(payout(), { status: 'wait' })).toMatchObject({
      to: 'wait',
      set: { attention: ['known_to_provider_before_sent'], possiblySent: true },
      next: { task: 'check' },
    });
  });

  it('knows a payout that waits to be sent again: nobody is surprised', () => {
    expect(notified(payout({ possiblySent: true }))?.set.attention).toEqual([]);
  });

  it('wait of an unknown payout: it is asked about', () => {
    expect(checked(unknown({ notFoundCount: 3 }), answered({ payment_status: 'wait' }))).toMatchObject({
      to: 'wait',
      set: { providerId: '7', notFoundCount: 0, notFoundSince: null, refusedAt: null },
      next: { task: 'check' },
    });
  });

  it('wait again, by the status call: found, so the count of "not found" begins anew', () => {
    const row = waiting({ providerId: null, notFoundCount: 3, notFoundSince: NOW, checkCount: 3 });
    const decision = checked(row, answered({ payment_status: 'wait' }));
    expect(decision).toMatchObject({
      to: 'wait',
      set: { providerId: '7', notFoundCount: 0, notFoundSince: null, checkCount: 4 },
      next: { task: 'check' },
      event: null,
    });
    expect(pauseOf(decision)).toBeGreaterThanOrEqual(27_000);
  });

  it('wait again, by a notification: says nothing new', () => {
    expect(notified(waiting(), { status: 'wait' })).toBeNull();
  });

  it.each(['paid', 'cancel', 'fail'] as const)('wait after %s is ignored', (status) => {
    expect(notified(payout({ status }), { status: 'wait' })).toBeNull();
    expect(checked(payout({ status }), answered({ payment_status: 'wait' }))).toBeNull();
  });

  it('the same final status again changes nothing', () => {
    expect(notified(payout({ status: 'paid' }))).toBeNull();
  });

  it('paid in part calls a person', () => {
    expect(notified(unknown(), { isPartialPayment: true })?.set).toMatchObject({
      attention: ['paid_in_part'],
      isPartialPayment: true,
    });
    expect(notified(unknown(), { status: 'fail', isPartialPayment: true })?.set.attention).toEqual([]);
    expect(notified(unknown(), { isPartialPayment: false })?.set).toMatchObject({
      attention: [],
      isPartialPayment: false,
    });
  });

  it('keeps what is known of the money where it says nothing about it', () => {
    const known = { paymentAmount: '499.00', commissionAmount: '1.00', isPartialPayment: false };
    expect(notified(waiting(known))?.set).toMatchObject(known);
    const said = { paymentAmount: '500.00', commissionAmount: '2.00', isPartialPayment: true };
    expect(notified(waiting(known), said)?.set).toMatchObject(said);
    expect(notified(waiting(), said)?.set).toMatchObject(said);
  });

  it.each(['not_found', 'overdue', 'unauthorized', 'paused_unauthorized', 'paused_rate_limited'] as const)(
    'answers the attention that only said that nobody knows: %s',
    (alarm) => {
      expect(notified(unknown({ attention: [alarm] }))?.set.attention).toEqual([]);
    },
  );

  it.each(['conflict_amount', 'known_to_provider_before_sent', 'retries_used_up'] as const)(
    'leaves any other for a person: %s',
    (alarm) => {
      expect(notified(unknown({ attention: [alarm] }))?.set.attention).toEqual([alarm]);
    },
  );
});

describe('a conflict', () => {
  it.each([
    ['fail', 'paid'],
    ['cancel', 'paid'],
    ['paid', 'fail'],
    ['rejected', 'paid'],
    ['rejected', 'wait'],
    ['withdrawn', 'wait'],
  ] as const)('%s, later %s: for a person, no change', (status, later) => {
    const decision = notified(payout({ status }), { status: later });
    expect(decision).toMatchObject({ to: status, set: { attention: ['conflict_status'] }, next: 'keep' });
  });

  const others = [
    ['amount', { amount: '500.01' }],
    ['order_id', { orderId: 'B' }],
    ['account', { account: '00000000-0000-4000-8000-000000000000' }],
    ['provider_id', { id: '8' }],
  ] as const;

  it.each(others)('another %s settles nothing, and it is asked about further', (about, changes) => {
    for (const row of [waiting({ checkCount: 3 }), unknown({ checkCount: 3, providerId: '7' })]) {
      expect(notified(row, changes)).toMatchObject({
        to: row.status,
        set: { attention: [`conflict_${about}`], checkCount: 4 },
        next: { task: 'check' },
      });
    }
  });

  it('while it is being sent leaves the attempt its lease', () => {
    expect(notified(sending(), { amount: '1' })).toMatchObject({
      to: 'sending',
      set: { attention: ['conflict_amount'] },
      next: 'keep',
    });
  });

  it('holds a queued payout back', () => {
    expect(notified(payout(), { amount: '1' })).toMatchObject({ to: 'queued', next: null });
  });

  it.each(['queued', 'sending', 'paid', 'fail'] as const)('is raised once only: %s', (status) => {
    const first = notified(payout({ status, attention: ['not_found'] }), { amount: '1' });
    expect(first).toMatchObject({ set: { attention: ['conflict_amount', 'not_found'], heard: ['amount=1'] } });
    expect(first?.event).not.toBeNull();
    expect(notified(payout({ status, ...first?.set }), { amount: '1' })).toBeNull();
  });

  it.each(['paid', 'fail'] as const)('that a person has closed is not raised by the same word again: %s', (status) => {
    const closed = payout({ status, heard: ['amount=1'] });
    expect(notified(closed, { amount: '1' })).toBeNull();
    expect(notified(closed, { amount: '2' })?.set.attention).toEqual(['conflict_amount']);
  });

  it('is no history without end, though each word is another one', () => {
    let row = payout({ status: 'paid' });
    let events = 0;
    for (let amount = 1; amount < 200; amount++) {
      const decision = notified(row, { amount: String(amount) });
      if (decision?.event) events += 1;
      row = next(row, decision);
    }
    expect([events, row.attention]).toEqual([50, ['conflict_amount']]);
  });

  it('that stands against an open payout is written down once, and it is asked about each time', () => {
    for (const row of [waiting, unknown]) {
      const stands = row({ attention: ['conflict_amount'], heard: ['amount=1'] });
      expect(notified(stands, { amount: '1' })).toMatchObject({
        set: { attention: ['conflict_amount'] },
        next: { task: 'check' },
        event: null,
      });
    }
  });

  it('is not hidden by a 401 that comes after it', () => {
    const row = sending({ attention: ['conflict_amount'] });
    expect(submitted(row, { kind: 'unauthorized' })?.set.attention).toEqual(['conflict_amount', 'unauthorized']);
  });

  it('keeps from being sent again what was never sent, and is not hidden by retries used up', () => {
    for (const unsentCount of [0, 2]) {
      const row = sending({ attention: ['conflict_amount'], unsentCount });
      expect(submitted(row, { kind: 'never_sent' })).toMatchObject({
        to: 'queued',
        set: { attention: unsentCount === 0 ? ['conflict_amount'] : ['conflict_amount', 'retries_used_up'] },
        next: null,
      });
    }
  });
});

describe('one payout is told from another', () => {
  it('reads 500, 500.0, 500. and 000500.00 as one amount', () => {
    for (const amount of ['500', '500.0', '500.', '000500.00'])
      expect(notified(unknown(), { amount })?.to).toBe('paid');
  });

  it.each([
    ['500.00', '5.00'],
    ['500.50', '500.05'],
    ['500.00', '50'],
    ['0.50', '.05'],
  ])('does not read %s as %s', (ours, amount) => {
    expect(notified(unknown({ amount: ours }), { amount })?.set.attention).toEqual(['conflict_amount']);
  });

  it('takes a word without an amount', () => {
    expect(notified(unknown(), { amount: undefined })?.to).toBe('paid');
  });

  it('reads the account in either case', () => {
    for (const account of [ACCOUNT, ACCOUNT.toUpperCase()]) expect(notified(unknown(), { account })?.to).toBe('paid');
  });
});

describe('a failure that is heard while a resubmission is on its way', () => {
  const second = (changes: Partial<Payout> = {}): Payout => sending({ attempt: 2, possiblySent: true, ...changes });

  it('may speak of the attempt before: it ends nothing, is kept, and calls a person', () => {
    for (const status of ['fail', 'cancel'] as const) {
      expect(notified(second(), { status })).toMatchObject({
        to: 'sending',
        set: { heard: [`7:${status}`], attention: ['attempts_unaccounted'] },
        next: 'keep',
      });
    }
  });

  it('is heard once', () => {
    expect(notified(second({ heard: ['7:fail'] }), { status: 'fail' })).toBeNull();
  });

  it('ends the payout where the attempt before is proven never sent', () => {
    expect(notified(second({ unsentTotal: 1 }), { status: 'fail' })?.to).toBe('fail');
  });

  it('ends the payout where there was no attempt before, and a payment always does', () => {
    for (const status of ['fail', 'cancel'] as const) expect(notified(sending(), { status })?.to).toBe(status);
    expect(notified(second())?.to).toBe('paid');
  });
});

describe('a payout that cannot be sent as it is stored', () => {
  const fault = { type: 'fault', attention: 'recipient_unreadable' } as const;

  it('is held for a person, without a job', () => {
    for (const attention of [[], ['paused_unauthorized']] as Alarm[][]) {
      expect(run(payout({ attention }), fault)).toMatchObject({
        to: 'queued',
        set: { attention: ['recipient_unreadable'] },
        next: null,
      });
    }
  });

  it('says so once, and hides nothing', () => {
    expect(run(payout({ attention: ['recipient_unreadable'] }), fault)).toBeNull();
    expect(run(payout({ attention: ['conflict_amount'] }), fault)?.set.attention).toEqual([
      'conflict_amount',
      'recipient_unreadable',
    ]);
  });

  it.each([unknown(), waiting()])('only marks one that was sent: $status', (row) => {
    expect(run(row, fault)).toMatchObject({
      to: row.status,
      set: { attention: ['recipient_unreadable'] },
      next: 'keep',
      event: { type: 'fault', detail: { attention: 'recipient_unreadable' } },
    });
  });

  it('is nothing to one that is on its way or ended', () => {
    for (const row of [sending(), payout({ status: 'paid' })]) expect(run(row, fault, { now: after(1) })).toBeNull();
  });
});
