import { ATTENTION_TEXT, sameAlarms, type Alarm } from '../../src/payouts/attention.js';
import { questionsFor } from '../../src/payouts/decision/heard.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import {
  answered,
  changed,
  checked,
  facts,
  next,
  NOW,
  notified,
  pauseOf,
  payout,
  run,
  unknown,
  waiting,
} from '../helpers/decisions.js';

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
    const paid = changed(next(known, decision), { dueAt: NOW });
    expect(notified(paid)).toMatchObject({
      to: 'paid',
      set: { heard: ['8:paid', '7:paid'] },
      event: { detail: { conflict: 'provider_id' } },
    });
    expect(notified(changed(paid, { heard: ['8:paid', '7:paid'], dueAt: null }))).toBeNull();
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
    expect(notified(changed(paid, { heard: ['8:paid'] }), { status: 'fail' })?.set.heard).toEqual(['8:paid', '7:fail']);
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

describe('one attempt that the provider knows under two ids', () => {
  const known = waiting();
  const heard = (status: 'wait' | 'paid' | 'fail' | 'cancel'): Payout =>
    next(known, notified(known, { id: '8', status }));

  it.each(['wait', 'paid'] as const)('is not ended by the failure of one while the other is %s', (other) => {
    for (const status of ['fail', 'cancel'] as const) {
      const decision = notified(heard(other), { status });
      expect(decision).toMatchObject({
        to: 'wait',
        set: { attention: ['attempts_unaccounted', 'conflict_provider_id'], heard: [`8:${other}`, `7:${status}`] },
        next: { task: 'check' },
      });
      const both = next(heard(other), decision);
      expect(checked(both, answered({ payment_status: status }))).toMatchObject({ to: 'wait', event: null });
    }
  });

  it('is ended when both have failed by the last word on each', () => {
    expect(notified(heard('cancel'), { status: 'fail' })?.to).toBe('fail');
    const again = next(heard('fail'), notified(heard('fail'), { id: '8', status: 'wait' }));
    expect(again.heard).toEqual(['8:fail', '8:wait']);
    expect(questionsFor(again)).toEqual([{ id: '7' }, { id: '8' }]);
    expect(notified(again, { status: 'fail' })?.to).toBe('wait');
    const decision = checked(again, answered({ id: '8', payment_status: 'fail' }));
    expect(decision).toMatchObject({ to: 'wait', set: { heard: ['8:wait', '8:fail'] }, event: null });
    expect(notified(next(again, decision), { status: 'fail' })?.to).toBe('fail');
    expect(notified(waiting({ heard: ['8:paid', '8:fail'] }), { status: 'fail' })?.to).toBe('wait');
  });

  it('is asked about by the other id yet when it is paid, until the end of that was heard', () => {
    const decision = notified(heard('wait'));
    expect(decision).toMatchObject({ to: 'paid', next: { task: 'check' } });
    const paid = changed(next(heard('wait'), decision), { dueAt: NOW });
    expect(questionsFor(paid)).toEqual([{ id: '7' }, { id: '8' }]);
    expect(checked(paid, answered())).toMatchObject({ to: 'paid', event: null, next: { task: 'check' } });
    const twice = checked(paid, answered({ id: '8' }));
    expect(twice).toMatchObject({ to: 'paid', event: { detail: { conflict: 'provider_id' } } });
    const over = changed(next(paid, twice), { dueAt: NOW });
    expect(over.heard).toContain('8:paid');
    expect(checked(over, answered())).toMatchObject({ to: 'paid', event: null });
    expect(notified(heard('fail'))).toMatchObject({ to: 'paid', next: null });
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
    [
      'every id that was paid, where the payout is not',
      waiting({ heard: ['8:paid', '9:fail'] }),
      [{ id: '7' }, { id: '8' }],
    ],
    ['no id that was paid as the payout was', waiting({ status: 'paid', heard: ['8:paid'] }), [{ id: '7' }]],
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
  it.each(['499.99', '0', '0.00', '5', '50.0', '00499.990', '99.999', '-500.00', '-1000'])(
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
