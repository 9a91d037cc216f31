import {
  after,
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
    expect(notified(sending())).toMatchObject({ to: 'paid', set: { attention: null } });
  });

  it('knows a payout that was never sent: a person must look, and it is not sent', () => {
    expect(notified(payout(), { status: 'wait' })).toMatchObject({
      to: 'wait',
      set: { attention: 'known_to_provider_before_sent', possiblySent: true },
      next: { task: 'check' },
    });
  });

  it('knows a payout that waits to be sent again: nobody is surprised', () => {
    expect(notified(payout({ possiblySent: true }))?.set.attention).toBeNull();
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
      attention: 'paid_in_part',
      isPartialPayment: true,
    });
    expect(notified(unknown(), { status: 'fail', isPartialPayment: true })?.set.attention).toBeNull();
    expect(notified(unknown(), { isPartialPayment: false })?.set).toMatchObject({
      attention: null,
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

  it.each(['not_found', 'overdue', 'unauthorized', 'paused_unauthorized', 'paused_rate_limited'])(
    'answers the attention that only said that nobody knows: %s',
    (attention) => {
      expect(notified(unknown({ attention }))?.set.attention).toBeNull();
    },
  );

  it.each(['conflict_amount', 'known_to_provider_before_sent', 'retries_used_up'])(
    'leaves any other for a person: %s',
    (attention) => {
      expect(notified(unknown({ attention }))?.set.attention).toBe(attention);
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
    expect(decision).toMatchObject({ to: status, set: { attention: 'conflict_status' }, next: 'keep' });
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
        set: { attention: `conflict_${about}`, checkCount: 4 },
        next: { task: 'check' },
      });
    }
  });

  it('while it is being sent leaves the attempt its lease', () => {
    expect(notified(sending(), { amount: '1' })).toMatchObject({
      to: 'sending',
      set: { attention: 'conflict_amount' },
      next: 'keep',
    });
  });

  it('holds a queued payout back', () => {
    expect(notified(payout(), { amount: '1' })).toMatchObject({ to: 'queued', next: null });
  });

  it.each(['queued', 'sending', 'paid', 'fail'] as const)('is raised once only: %s', (status) => {
    expect(notified(payout({ status, attention: 'conflict_amount' }), { amount: '1' })).toBeNull();
    expect(notified(payout({ status, attention: 'not_found' }), { amount: '1' })?.event).not.toBeNull();
  });

  it('that stands against an open payout is written down once, and it is asked about each time', () => {
    for (const row of [waiting, unknown]) {
      expect(notified(row({ attention: 'conflict_amount' }), { amount: '1' })).toMatchObject({
        set: { attention: 'conflict_amount' },
        next: { task: 'check' },
        event: null,
      });
    }
  });

  it('is not hidden by a 401 that comes after it', () => {
    const row = sending({ attention: 'conflict_amount' });
    expect(submitted(row, { kind: 'unauthorized' })?.set.attention).toBe('conflict_amount');
  });

  it('keeps from being sent again what was never sent, and is not hidden by retries used up', () => {
    for (const unsentCount of [0, 2]) {
      const row = sending({ attention: 'conflict_amount', unsentCount });
      expect(submitted(row, { kind: 'never_sent' })).toMatchObject({
        to: 'queued',
        set: { attention: 'conflict_amount' },
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
    expect(notified(unknown({ amount: ours }), { amount })?.set.attention).toBe('conflict_amount');
  });

  it('takes a word without an amount', () => {
    expect(notified(unknown(), { amount: undefined })?.to).toBe('paid');
  });

  it('reads the account in either case', () => {
    for (const account of [ACCOUNT, ACCOUNT.toUpperCase()]) expect(notified(unknown(), { account })?.to).toBe('paid');
  });
});

describe('a failure that is heard while a resubmission is on its way', () => {
  it('may speak of the attempt before: it changes nothing', () => {
    for (const status of ['fail', 'cancel'] as const) {
      expect(notified(sending({ possiblySent: true }), { status })).toBeNull();
    }
  });

  it('ends the payout where there was no attempt before, and a payment always does', () => {
    for (const status of ['fail', 'cancel'] as const) expect(notified(sending(), { status })?.to).toBe(status);
    expect(notified(sending({ possiblySent: true }))?.to).toBe('paid');
  });
});

describe('a payout that cannot be sent as it is stored', () => {
  const fault = { type: 'fault', attention: 'recipient_unreadable' } as const;

  it('is held for a person, without a job', () => {
    for (const attention of [null, 'paused_unauthorized']) {
      expect(run(payout({ attention }), fault)).toMatchObject({
        to: 'queued',
        set: { attention: 'recipient_unreadable' },
        next: null,
      });
    }
  });

  it.each(['recipient_unreadable', 'conflict_amount'])('says so once, and hides nothing: %s', (attention) => {
    expect(run(payout({ attention }), fault)).toBeNull();
  });

  it.each([unknown(), waiting()])('only marks one that was sent: $status', (row) => {
    expect(run(row, fault)).toMatchObject({
      to: row.status,
      set: { attention: 'recipient_unreadable' },
      next: 'keep',
      event: { type: 'fault', detail: { attention: 'recipient_unreadable' } },
    });
  });

  it('is nothing to one that is on its way or ended', () => {
    for (const row of [sending(), payout({ status: 'paid' })]) expect(run(row, fault, { now: after(1) })).toBeNull();
  });
});
