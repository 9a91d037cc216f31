import { ATTENTION_TEXT, sameAlarms, type Alarm } from '../../src/payouts/attention.js';
import type { Decision } from '../../src/payouts/payout.decision.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { questionsFor } from '../../src/payouts/decision/heard.js';
import {
  acceptedAs,
  after,
  answered,
  checked,
  CLAIMED,
  facts,
  notified,
  NOW,
  pauseOf,
  payout,
  run,
  sending,
  submitted,
  TOKEN,
  unknown,
  waiting,
} from '../helpers/decisions.js';

/** Of an attempt that no longer holds the payout. */
const OLD = '3d2b4a3e-6f0a-4a5e-9a44-0000000000ff';
/** The row after a decision. */
const next = (row: Payout, decision: Decision | null): Payout =>
  payout({ ...row, ...decision?.set, status: decision?.to ?? row.status });

describe('a claim whose answer was lost', () => {
  it('is found done by its token', () => {
    expect(run(sending(), CLAIMED)).toBeNull();
  });

  it('is not taken for another one', () => {
    expect(() => run(sending({ attemptToken: OLD }), CLAIMED)).toThrow('only a queued one');
    expect(() => run(unknown({ attemptToken: TOKEN }), CLAIMED)).toThrow('only a queued one');
  });
});

describe('an attempt that no longer holds the payout', () => {
  const late = (row: Payout, outcome: object, isForeignId = false) =>
    submitted(row, outcome, { attempt: 1, token: OLD, isForeignId });

  it.each(['unclear', 'never_sent', 'unauthorized', 'rate_limited', 'refused'])('writes nothing: %s', (kind) => {
    const outcome = { kind, message: '', errors: {} };
    for (const row of [sending({ attempt: 2 }), unknown(), waiting(), payout(), payout({ status: 'fail' })]) {
      expect(late(row, outcome)).toBeNull();
    }
  });

  it('with the number of the one that holds it is not taken for that one', () => {
    expect(late(sending(), { kind: 'never_sent' })).toBeNull();
  });

  it('was accepted: the id is kept, and the payout is followed', () => {
    expect(late(unknown({ attention: ['not_found'] }), acceptedAs('9'))).toMatchObject({
      to: 'wait',
      set: { providerId: '9', possiblySent: true, attention: [], notFoundCount: 0, notFoundSince: null, checkCount: 0 },
      next: { task: 'check' },
      event: { type: 'submission', detail: { provider_id: '9', late_attempt: 1 } },
    });
  });

  it('was accepted though the payout is to be sent again: it is not, and a person is called', () => {
    expect(late(payout({ attempt: 1, possiblySent: true }), acceptedAs('9'))).toMatchObject({
      to: 'wait',
      set: { providerId: '9', attention: ['late_answer'] },
    });
  });

  it('was accepted while another one is on its way: kept, followed, and a person is called', () => {
    const decision = late(sending({ attempt: 2, possiblySent: true }), acceptedAs('9'));
    expect(decision).toMatchObject({
      to: 'sending',
      set: { heard: ['9:wait'], attention: ['late_answer'] },
      next: 'keep',
    });
    const row = next(sending({ attempt: 2, possiblySent: true }), decision);
    expect(submitted(row, acceptedAs('10'), { attempt: 2 })).toMatchObject({ to: 'wait', set: { providerId: '10' } });
    // The version before raises the number and keeps the token.
    expect(submitted(row, { kind: 'never_sent' })).toBeNull();
    expect(questionsFor(payout({ ...row, providerId: '10' }))).toEqual([
      { id: '10' },
      { order_id: 'A-1' },
      { id: '9' },
    ]);
  });

  it('was accepted under another id than the one that is known: a conflict, and both are asked about', () => {
    for (const row of [waiting(), unknown({ providerId: '7' })]) {
      const decision = late(row, acceptedAs('9'));
      expect(decision).toMatchObject({
        to: row.status,
        set: { heard: ['9:wait'], attention: ['conflict_provider_id'] },
        next: { task: 'check' },
      });
      expect(questionsFor(next(row, decision))).toContainEqual({ id: '9' });
    }
  });

  it.each(['fail', 'rejected', 'paid'] as const)(
    'was accepted after the payout has ended as %s: asked about, and a person is called',
    (status) => {
      expect(late(payout({ status, attempt: 1 }), acceptedAs('9'))).toMatchObject({
        to: status,
        set: { heard: ['9:wait'], attention: ['late_answer'] },
        next: { task: 'check' },
      });
    },
  );

  it('was accepted under the id that is known: nothing new', () => {
    expect(late(waiting(), acceptedAs('7'))).toBeNull();
    expect(late(payout({ status: 'paid', providerId: '7' }), acceptedAs('7'))).toBeNull();
    expect(late(sending({ heard: ['9:wait'] }), acceptedAs('9'))).toBeNull();
  });

  it('was accepted under an id of another payout: a conflict that moves nothing', () => {
    const decision = late(unknown(), acceptedAs('9'), true);
    expect(decision).toMatchObject({
      to: 'unknown',
      set: { heard: ['provider_id=9'], attention: ['conflict_provider_id'] },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
    expect(late(next(unknown(), decision), acceptedAs('9'), true)).toBeNull();
  });

  it('keeps a queued payout from being sent where the id is of another one', () => {
    expect(late(payout({ attempt: 1 }), acceptedAs('9'), true)).toMatchObject({
      to: 'queued',
      set: { possiblySent: true, attention: ['conflict_provider_id'] },
      next: null,
    });
  });
});

describe('an attempt that lost its lease and proves afterwards that it was never sent', () => {
  it('is counted as that, once, and the payout stays unknown', () => {
    const row = unknown({ attemptToken: TOKEN });
    const decision = submitted(row, { kind: 'never_sent' });
    expect(decision).toMatchObject({ to: 'unknown', set: { unsentTotal: 1, attemptToken: null }, next: 'keep' });
    expect(decision?.event).toMatchObject({ type: 'submission', detail: { outcome: 'never_sent' } });
    expect(submitted(next(row, decision), { kind: 'never_sent' })).toBeNull();
    expect(submitted(row, { kind: 'unclear' })).toBeNull();
    expect(submitted(waiting({ attemptToken: TOKEN }), { kind: 'never_sent' })).toBeNull();
  });

  it('leads back to the queue once the provider confirms that it has nothing', () => {
    const row = unknown({ unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW });
    expect(checked(row, { kind: 'not_found' }, { now: after(120_000) })).toMatchObject({
      to: 'queued',
      next: { task: 'submit' },
      event: { detail: { never_sent: true } },
    });
    const other = unknown({ attempt: 2, unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW });
    expect(checked(other, { kind: 'not_found' }, { now: after(120_000) })?.to).toBe('unknown');
  });

  it('but not where the provider has spoken of the payout', () => {
    for (const changes of [
      { providerId: '7' },
      { heard: ['9:wait'] },
      { attention: ['late_answer'] },
    ] as Partial<Payout>[]) {
      const row = unknown({ unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW, ...changes });
      expect(checked(row, { kind: 'not_found' }, { now: after(120_000) })?.to).toBe('unknown');
    }
  });
});

describe('an acceptance', () => {
  it('under the id that an early notification named: no conflict', () => {
    expect(submitted(sending({ providerId: '7' }), acceptedAs('7'))?.set).toMatchObject({ providerId: '7' });
    expect(submitted(sending({ providerId: '7' }), acceptedAs('7'))?.set.attention).toBeUndefined();
  });

  it('under another id than an early notification named: waits, and a person is called', () => {
    const row = sending({ providerId: '7' });
    const decision = submitted(row, acceptedAs('9'));
    expect(decision).toMatchObject({
      to: 'wait',
      set: { heard: ['9:wait'], attention: ['conflict_provider_id'], possiblySent: true },
      next: { task: 'check' },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
  });

  it('under an id of another payout proves nothing: unknown, and a person is called', () => {
    const decision = submitted(sending(), acceptedAs('9'), { isForeignId: true });
    expect(decision).toMatchObject({
      to: 'unknown',
      set: { heard: ['provider_id=9'], attention: ['conflict_provider_id'], possiblySent: true },
      next: { task: 'check' },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
  });
});

describe('several attempts that may have been sent', () => {
  const twice = (changes: Partial<Payout> = {}): Payout => unknown({ attempt: 2, ...changes });

  it.each(['fail', 'cancel'] as const)('are not ended by one of them that has come to %s', (status) => {
    for (const hear of [notified, (row: Payout) => checked(row, answered({ payment_status: status }))]) {
      const decision = hear(twice(), { status });
      expect(decision).toMatchObject({
        to: 'unknown',
        set: { heard: [`7:${status}`], attention: ['attempts_unaccounted'] },
        next: { task: 'check' },
      });
      expect(hear(next(twice(), decision), { status })).toMatchObject({ to: 'unknown', event: null });
    }
  });

  it('are ended when each has failed under an id of its own', () => {
    const first = next(twice(), notified(twice(), { status: 'fail' }));
    expect(notified(first, { status: 'fail', id: '8' })).toMatchObject({
      to: 'fail',
      set: { providerId: '8', endedBy: 'provider', attention: ['attempts_unaccounted'] },
    });
  });

  it('are ended also where the known one fails last, or first', () => {
    const known = waiting({ attempt: 2 });
    const other = next(known, notified(known, { status: 'cancel', id: '8' }));
    expect(other.attention).toEqual(['conflict_provider_id']);
    expect(notified(other, { status: 'fail' })?.to).toBe('fail');
    const own = next(known, notified(known, { status: 'fail' }));
    expect(own).toMatchObject({ status: 'wait', heard: ['7:fail'] });
    const both = next(own, notified(own, { status: 'fail', id: '8' }));
    expect(notified(both, { status: 'fail' })?.to).toBe('fail');
  });

  it('are paid when one of them is, and the other is asked about', () => {
    expect(notified(twice())).toMatchObject({ to: 'paid', set: { providerId: '7' } });
    const known = waiting({ attempt: 2 });
    const decision = notified(known, { id: '8' });
    expect(decision).toMatchObject({
      to: 'paid',
      set: { heard: ['8:paid'], attention: ['conflict_provider_id'] },
      next: { task: 'check' },
    });
    expect(decision?.set.providerId).toBe('7');
    const paid = { ...next(known, decision), dueAt: NOW };
    expect(notified(paid)).toMatchObject({
      to: 'paid',
      set: { heard: ['8:paid', '7:paid'] },
      event: { detail: { conflict: 'provider_id' } },
    });
    expect(notified({ ...paid, heard: ['8:paid', '7:paid'], dueAt: null } as Payout)).toBeNull();
  });

  it('are not ended while one of them is known to wait', () => {
    expect(notified(twice({ heard: ['8:wait'] }), { status: 'fail' })?.to).toBe('unknown');
    expect(notified(twice({ heard: ['8:paid'] }), { status: 'fail' })?.to).toBe('unknown');
    expect(notified(twice({ heard: ['amount=1', 'x8:fail', '8:fail2'] }), { status: 'fail' })?.to).toBe('unknown');
    expect(notified(twice({ heard: ['8:cancel'] }), { status: 'fail' })?.to).toBe('fail');
  });

  it('write down which of them has failed', () => {
    expect(notified(twice(), { status: 'fail' })?.event).toMatchObject({
      type: 'notification',
      detail: { payment_status: 'fail', provider_id: '7' },
    });
  });

  it('tell of a second payment alone that two were paid', () => {
    const paid = payout({
      status: 'paid',
      attempt: 2,
      providerId: '7',
      heard: ['7:wait', '7:paid', '8:fail'],
      dueAt: NOW,
    });
    expect(notified(paid)).toBeNull();
    expect(notified({ ...paid, heard: ['8:paid'] } as Payout, { status: 'fail' })?.set.heard).toEqual([
      '8:paid',
      '7:fail',
    ]);
  });

  it('are short where the one that was paid is', () => {
    const known = waiting({ attempt: 2, attention: ['overdue'] });
    expect(notified(known, { id: '8', paymentAmount: '1' })?.set.attention).toEqual([
      'conflict_provider_id',
      'paid_in_part',
    ]);
  });

  it('are one where all others are proven never sent', () => {
    expect(notified(unknown({ attempt: 3, unsentTotal: 2 }), { status: 'fail' })?.to).toBe('fail');
  });

  it('do not make a second id of a payout that was sent once its own', () => {
    expect(notified(waiting(), { id: '8' })).toMatchObject({
      to: 'wait',
      set: { attention: ['conflict_provider_id'] },
    });
  });
});

describe('what the provider is asked by', () => {
  it.each([
    ['the order, while no id is known', unknown(), [{ order_id: 'A-1' }]],
    ['the id', waiting(), [{ id: '7' }]],
    ['the order too, after several attempts', waiting({ attempt: 2 }), [{ id: '7' }, { order_id: 'A-1' }]],
    [
      'every id of which no end was heard',
      unknown({ heard: ['8:wait', '9:fail', 'amount=1'] }),
      [{ order_id: 'A-1' }, { id: '8' }],
    ],
  ] as const)('%s', (_, row, questions) => {
    expect(questionsFor(row)).toEqual(questions);
  });

  it('is no more than seven questions, however many ids were heard', () => {
    const heard = Array.from({ length: 40 }, (__, index) => `${index + 100}:wait`);
    expect(questionsFor(waiting({ attempt: 2, heard }))).toHaveLength(7);
  });
});

describe('an end that is not the word of the provider', () => {
  const ended = (changes: Partial<Payout> = {}): Payout =>
    payout({ status: 'fail', attempt: 1, endedBy: 'person', dueAt: NOW, settledAt: NOW, ...changes });

  it.each(['unclear', 'not_found', 'unauthorized'])('is asked about ever more seldom, and then no more: %s', (kind) => {
    const first = checked(ended(), { kind });
    expect(first).toMatchObject({ to: 'fail', set: { checkCount: 1 }, event: null });
    expect(pauseOf(first)).toBeGreaterThanOrEqual(77_760_000);
    expect(checked(ended({ checkCount: 1 }), { kind })?.next).toBeNull();
  });

  it.each(['wait', 'paid'] as const)('calls a person when the provider says %s', (status) => {
    for (const row of [ended(), ended({ status: 'rejected', endedBy: 'confirmed_absence' })]) {
      const decision = notified(row, { status });
      expect(decision).toMatchObject({
        to: row.status,
        set: { attention: ['conflict_status'], heard: [`7:${status}`] },
      });
      expect(checked(next(row, decision), answered({ payment_status: status }))).toMatchObject({ event: null });
    }
  });

  it('is not asked about any more once the provider says the same', () => {
    expect(checked(ended(), answered({ payment_status: 'fail' }))).toEqual({
      to: 'fail',
      set: {},
      next: null,
      event: null,
    });
  });

  it('is asked about further where another attempt may have come to something else', () => {
    const twice = ended({ attempt: 2 });
    expect(checked(twice, answered({ payment_status: 'fail' }))).toMatchObject({
      set: { checkCount: 1 },
      next: { task: 'check' },
    });
    expect(notified(twice, { status: 'fail' })).toBeNull();
    expect(checked(ended({ attempt: 2, unsentTotal: 1 }), answered({ payment_status: 'fail' }))?.next).toBeNull();
  });

  it('is the only one that is asked about', () => {
    for (const status of ['paid', 'fail', 'cancel'] as const) {
      expect(notified(payout({ status }))?.next).not.toEqual(expect.objectContaining({ task: 'check' }));
      expect(checked(payout({ status, providerId: '7' }), { kind: 'not_found' })).toBeNull();
    }
  });
});

describe('another recipient or service than ours', () => {
  const card = (numberMasked = '411111******1111') => unknown({ numberMasked, service: 'payment_card_rub' });
  const asked = (row: Payout, changes: object) =>
    checked(row, answered({ service_code: 'payment_card_rub', ...changes }));

  it.each([
    '411111******1111',
    '4111 11** **** 1111',
    '************1111',
    '4111****1111',
    '*1111',
    '411111******',
    '',
    '****',
  ])('is not told by a mask that fits: %s', (card_mask) => {
    expect(asked(card(), { card_mask })?.to).toBe('paid');
  });

  it.each(['411111******1112', '555555******1111', '************2222', '4112****1111', '*2'])(
    'is told by a mask that does not: %s',
    (card_mask) => {
      expect(asked(card(), { card_mask })).toMatchObject({ to: 'unknown', set: { attention: ['conflict_recipient'] } });
    },
  );

  it('is told by the mask of a phone, and not by that of the card behind it', () => {
    const phone = unknown({ numberMasked: '*******4455', service: 'payment_card_rub' });
    expect(asked(phone, { card_mask: '7900***4455' })?.to).toBe('paid');
    expect(asked(phone, { card_mask: '7900***4456' })?.set.attention).toEqual(['conflict_recipient']);
    expect(asked(phone, { card_mask: '411111******1111' })?.to).toBe('paid');
  });

  it('is told by the service', () => {
    expect(asked(card(), { service_code: 'qiwi_rub' })).toMatchObject({
      to: 'unknown',
      set: { attention: ['conflict_service'] },
    });
    for (const service_code of ['Payment_Card_RUB ', '', undefined]) {
      expect(asked(card(), { service_code })?.to).toBe('paid');
    }
    expect(notified(card(), { service: 'qiwi_rub' })?.set.attention).toEqual(['conflict_service']);
  });
});

describe('an id that belongs to another payout', () => {
  it('settles nothing, whoever names it', () => {
    const word = { type: 'notification', facts: facts({ id: '9' }), isForeignId: true } as const;
    const decision = run(unknown(), word);
    expect(decision).toMatchObject({
      to: 'unknown',
      set: { heard: ['provider_id=9'], attention: ['conflict_provider_id'] },
      event: { detail: { conflict: 'provider_id', provider_id: '9' } },
    });
    expect(run(next(unknown(), decision), word)?.event).toBeNull();
  });
});

describe('the set of alarms', () => {
  it('stands in its column as names with a space between, or as nothing', () => {
    for (const attention of [['not_found'], ['conflict_amount', 'overdue']] as Alarm[][]) {
      expect(ATTENTION_TEXT.to(attention)).toBe(attention.join(' '));
      expect(ATTENTION_TEXT.from(ATTENTION_TEXT.to(attention))).toEqual(attention);
    }
    for (const none of [undefined, []]) expect(ATTENTION_TEXT.to(none)).toBeNull();
    for (const none of [undefined, null, '']) expect(ATTENTION_TEXT.from(none)).toEqual([]);
  });

  it('is the same only if it holds the same', () => {
    expect(sameAlarms(['overdue'], ['not_found', 'overdue'])).toBe(false);
    expect(sameAlarms(['not_found', 'overdue'], ['overdue'])).toBe(false);
    expect(sameAlarms(['overdue'], ['overdue'])).toBe(true);
  });
});

describe('a payment that is short', () => {
  it.each(['499.99', '0', '0.00', '5', '50.0', '00499.990', '99.999'])(
    'calls a person with or without the flag: %s',
    (paymentAmount) => {
      for (const isPartialPayment of [undefined, false, true]) {
        expect(notified(waiting(), { paymentAmount, isPartialPayment })?.set.attention).toEqual(['paid_in_part']);
      }
    },
  );

  it.each(['500', '500.00', '0500.000', '500.01', '1000'])('is none: %s', (paymentAmount) => {
    expect(notified(waiting(), { paymentAmount })?.set.attention).toEqual([]);
  });

  it('is none of one that was not paid', () => {
    expect(notified(waiting(), { status: 'fail', paymentAmount: '0' })?.set.attention).toEqual([]);
  });
});
