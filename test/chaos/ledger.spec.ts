import {
  checkLedger,
  countLedger,
  LOCKED_SECONDS,
  type Acknowledgement,
  type BookedDecision,
  type Books,
  type BookedPayout,
} from './ledger.mjs';

const ORDER = 'order-1';
const ROW: BookedPayout = {
  id: 'payout-1',
  orderId: ORDER,
  status: 'paid',
  attempt: 1,
  possiblySent: true,
  attention: null,
  providerId: '100',
  paymentAmount: '12',
  isScheduled: false,
};
const PAID = { id: '100', orderId: ORDER, status: 'paid', paymentAmount: '12.00' };
const REST = { reason: '', revision: 0 };
const created = { payoutId: ROW.id, type: 'created', from: null, to: 'queued', outcome: '', ...REST };
const claimed = { payoutId: ROW.id, type: 'claimed', from: 'queued', to: 'sending', outcome: '', ...REST };

/** A line of the payout's history. */
function event(type: string, from: string, to: string, outcome = ''): Books['events'][number] {
  return { payoutId: ROW.id, type, from, to, outcome, ...REST };
}

/** What clients were told: of the payout, new, and for good, unless a test says otherwise. */
function told(...answers: Partial<Acknowledgement>[]): Books['acknowledged'] {
  return { [ORDER]: answers.map((answer) => ({ id: ROW.id, isNew: true, mayBeForgotten: false, ...answer })) };
}

/** Requests that submitted it, by how they were answered. */
function sent(...answers: number[]): Books['submissions'] {
  return { [ORDER]: answers.map((status) => ({ status, mayBeForgotten: false })) };
}

/** One payout that was created, sent once and paid, with all sides agreeing; and what a test changes of that. */
function books(changes: Partial<Books> = {}, row: Partial<BookedPayout> = {}): Books {
  return {
    orders: [ORDER],
    promotions: 0,
    acknowledged: told({}),
    decisions: [],
    refused: [],
    payouts: [{ ...ROW, ...row }],
    events: [
      created,
      claimed,
      event('submission', 'sending', 'wait', 'ok'),
      event('notification', 'wait', row.status ?? 'paid'),
    ],
    jobs: [],
    handled: [{ payoutId: ROW.id, eventId: '4' }],
    submissions: sent(200),
    accepted: { [ORDER]: 1 },
    provider: [PAID],
    faults: [],
    ...changes,
  };
}

/** One payout that the provider has never got, held for a person. */
function held(row: Partial<BookedPayout> = {}, changes: Partial<Books> = {}): Books {
  const events = [created, claimed, event('lease_expired', 'sending', 'unknown')];
  const nothing = { events, handled: [], submissions: sent(), accepted: { [ORDER]: 0 }, provider: [] };
  const unknown = { status: 'unknown', attention: 'not_found', providerId: null, paymentAmount: null };
  return books({ ...nothing, ...changes }, { ...unknown, isScheduled: true, ...row });
}

/** One payout that the provider refused and that has ended so. */
function rejected(changes: Partial<Books> = {}): Books {
  const events = [
    created,
    claimed,
    event('submission', 'sending', 'unknown', 'refused'),
    event('check', 'unknown', 'rejected'),
  ];
  const row = { status: 'rejected', attention: null, isScheduled: false };
  return held(row, { events, submissions: sent(400), ...changes });
}

/** One payout that was held, and that a person decided on, with what was answered; and what a test changes of that. */
function decided(
  decision: Partial<BookedDecision> = {},
  answers: number[] = [200],
  changes: Partial<Books> = {},
  row: Partial<BookedPayout> = {},
): Books {
  const made = {
    payoutId: ROW.id,
    orderId: ORDER,
    outcome: 'fail' as const,
    revision: 3,
    reason: 'anna, 1',
    isOfForgotten: false,
    answers: answers.map((status) => ({ status, mayBeForgotten: false })),
    ...decision,
  };
  const end = { ...event('person', 'unknown', 'fail'), reason: 'anna, 1', revision: 4 };
  const events = [created, claimed, event('lease_expired', 'sending', 'unknown'), end];
  const given = { decisions: [made], events, ...changes };
  return held({ status: 'fail', attention: null, isScheduled: false, ...row }, given);
}

/** The history of a payout that a person sent again. */
const SENT_AGAIN = [
  created,
  claimed,
  event('lease_expired', 'sending', 'unknown'),
  { ...event('person', 'unknown', 'queued'), reason: 'anna, 1', revision: 4 },
  claimed,
  event('submission', 'sending', 'wait', 'ok'),
  event('notification', 'wait', 'paid'),
];
const RESUBMIT: Partial<BookedDecision> = { outcome: 'resubmit' };
const PAID_NOW: Partial<BookedPayout> = {
  status: 'paid',
  attempt: 2,
  providerId: PAID.id,
  paymentAmount: PAID.paymentAmount,
};

/** A payout that a person sent again, and what the provider answered each time. */
function sentAgain(statuses: number[], changes: Partial<Books> = {}): Books {
  const handled = [{ payoutId: ROW.id, eventId: '7' }];
  const theirs = { provider: [PAID], accepted: { [ORDER]: 1 }, handled, submissions: sent(...statuses) };
  return decided(RESUBMIT, [200], { events: SENT_AGAIN, ...theirs, ...changes }, PAID_NOW);
}

const sentOnce = [{ status: 200, mayBeForgotten: false }];
/** The provider has it, and has not paid. */
function failedThere(status: string): Partial<Books> {
  return { provider: [{ ...PAID, status, paymentAmount: '0.00' }], accepted: { [ORDER]: 1 }, submissions: sent(200) };
}
const FORGOTTEN = { mayBeForgotten: true };
const GONE = { payouts: [], events: [], handled: [], promotions: 1 };
/** The history of a payout that was queued as the database went back. */
const DOUBTED = [
  created,
  event('restored', 'queued', 'unknown'),
  event('check', 'unknown', 'queued'),
  claimed,
  event('notification', 'sending', 'paid'),
];

const rules = (given: Books): string[] => checkLedger(given).map(({ rule }) => rule);

describe('the ledger check of the chaos run', () => {
  it.each([
    ['a paid payout', books()],
    ['a payout that was paid in part', books({}, { attention: 'paid_in_part' })],
    ['a payout that is held because the provider does not have it', held()],
    ['a payout with two reasons', held({ attention: 'not_found unauthorized' })],
    ['a payout that was refused', rejected()],
    [
      'a payout whose first attempt was proven never sent',
      {
        ...books({}, { attempt: 2 }),
        events: [
          created,
          claimed,
          event('submission', 'sending', 'queued', 'never_sent'),
          claimed,
          event('notification', 'sending', 'paid'),
        ],
      },
    ],
    [
      'a payout whose first attempt was proven never sent after its lease',
      {
        ...books({}, { attempt: 2 }),
        events: [
          created,
          claimed,
          event('lease_expired', 'sending', 'unknown'),
          event('submission', 'unknown', 'unknown', 'never_sent'),
          event('check', 'unknown', 'queued'),
          claimed,
          event('notification', 'sending', 'paid'),
        ],
      },
    ],
    [
      'a handler that was told of one event twice',
      books({ handled: [4, 4].map((id) => ({ payoutId: ROW.id, eventId: `${id}` })) }),
    ],
    ['a payout that a person failed', decided()],
    ['a decision that was repeated, and once not answered', decided({}, [0, 503, 200, 200])],
    ['a decision that was carried out, and never answered', decided({}, [0, 0])],
    ['a payout that a person failed as the provider did', decided({}, [200], failedThere('cancel'))],
    ['a payout that a person sent again', sentAgain([500, 200])],
    ['a decision that was refused', books({ decisions: decided({}, [412, 409, 502]).decisions })],
    ['a payout that a promotion lost, though the provider has it', books({ ...GONE, acknowledged: told(FORGOTTEN) })],
    [
      'a decision on a payout that a promotion lost',
      books({ ...GONE, acknowledged: told(FORGOTTEN), decisions: decided({ isOfForgotten: true }, [404]).decisions }),
    ],
    [
      'a create that was repeated after a promotion',
      books({ promotions: 1, acknowledged: told({ id: 'payout-0', ...FORGOTTEN }, {}) }),
    ],
    [
      'a decision that a promotion lost',
      books({ promotions: 1, decisions: decided({ answers: [{ status: 200, ...FORGOTTEN }] }).decisions }),
    ],
    [
      'a payout whose claim a promotion lost',
      books(
        { promotions: 1, events: DOUBTED, submissions: { [ORDER]: [{ status: 500, ...FORGOTTEN }, ...sentOnce] } },
        { attention: 'known_to_provider_before_sent' },
      ),
    ],
    ['a job that runs', books({ jobs: [{ name: 'check', isWanted: true, lockedSeconds: 1 }] })],
  ])('finds nothing in %s', (_, given) => {
    expect(checkLedger(given)).toEqual([]);
  });

  it.each([
    ['create refused', books({ refused: [{ orderId: ORDER, why: '409' }] })],
    ['create never answered', books({ acknowledged: {} })],
    ['payout lost', books({ payouts: [], events: [] })],
    ['accepted, unknown here', books({ payouts: [], events: [] })],
    ['payout doubled', books({ payouts: [ROW, ROW] })],
    ['created twice', books({ acknowledged: told({}, {}) })],
    ['acknowledged under another id', books({ acknowledged: told({}, { id: 'payout-2' }) })],
    ['payout nobody ordered', books({ orders: [] })],
    ['accepted twice', books({ accepted: { [ORDER]: 2 } })],
    ['accepted twice', books({ submissions: sent(200, 400) }, { attempt: 2 })],
    ['provider disagrees with itself', books({ accepted: { [ORDER]: 0 } })],
    ['submitted twice', books({ submissions: sent(200, 500) })],
    ['submitted without a claim', books({ events: [created, event('check', 'queued', 'paid')] }, { attempt: 0 })],
    ['sent, not marked as sent', books({}, { possiblySent: false })],
    ['not settled', books({}, { status: 'wait' })],
    ['not settled', held({ attention: null })],
    ['not settled', held({}, { provider: [PAID], accepted: { [ORDER]: 1 } })],
    ['no longer asked about', held({ isScheduled: false })],
    ['unexpected attention', books({}, { attention: 'conflict_amount' })],
    ['unexpected attention', held({ attention: 'recipient_unreadable' })],
    ['unexpected attention', held({ attention: 'conflict_amount not_found' })],
    ['ended while the provider pays', books({}, { status: 'fail' })],
    ['ended while the provider pays', rejected({ provider: [{ ...PAID, status: 'wait' }], accepted: { [ORDER]: 1 } })],
    ['other status', books({ provider: [{ ...PAID, status: 'fail' }] })],
    ['other status', books({ provider: [], accepted: { [ORDER]: 0 } })],
    ['other status', rejected({ provider: [{ ...PAID, status: 'fail' }], accepted: { [ORDER]: 1 } })],
    ['rejected without a refusal', rejected({ submissions: sent(500) })],
    ['other amount', books({ provider: [{ ...PAID, paymentAmount: '12.50' }] })],
    ['other provider id', books({}, { providerId: '101' })],
    ['handler not called', books({ handled: [] })],
    ['handler called for nothing', held({}, { handled: [{ payoutId: ROW.id, eventId: '4' }] })],
    ['handler called for two events', books({ handled: [4, 5].map((id) => ({ payoutId: ROW.id, eventId: `${id}` })) })],
    ['job stays locked', books({ jobs: [{ name: 'check', isWanted: true, lockedSeconds: LOCKED_SECONDS + 1 }] })],
    ['ended while the provider pays', decided({}, [200], { provider: [PAID], accepted: { [ORDER]: 1 } })],
    ['decision lost', decided({}, [200], { events: held().events }, { status: 'unknown' })],
    ['decided twice', decided({}, [200], { events: [...decided().events, ...decided().events.slice(-1)] })],
    ['denied, though decided', decided({}, [0, 412])],
    ['denied, though decided', decided({}, [200, 409])],
    ['decision refused', decided({}, [400])],
    ['decision refused', books({ decisions: decided({}, [404]).decisions })],
    ['decision nobody made', decided({}, [200], { decisions: [] })],
    ['decision nobody made', decided({ reason: 'boris, 2' })],
    ['decision nobody made', decided({ outcome: 'withdraw' })],
    ['accepted twice', sentAgain([200, 400])],
    ['submitted twice', sentAgain([500, 500, 200])],
    ['payout lost', books({ ...GONE, acknowledged: told(FORGOTTEN, {}) })],
    ['acknowledged under another id', books({ promotions: 1, acknowledged: told(FORGOTTEN, { id: 'payout-0' }) })],
    ['unexpected attention', books({ promotions: 1 }, { attention: 'late_answer' })],
    ['process', books({ faults: ['one does not answer at the end'] })],
  ])('finds: %s (%#)', (rule, given) => {
    expect(rules(given)).toContain(rule);
  });

  it.each([
    ['does not begin with its creation', [claimed, event('submission', 'sending', 'paid', 'ok')]],
    ['begins twice', [created, created, claimed, event('notification', 'sending', 'paid')]],
    ['ends otherwise than the row', [created, claimed, event('submission', 'sending', 'wait', 'ok')]],
    ['0 claims, 1 attempts', [created, event('check', 'queued', 'paid')]],
    ['has a gap', [created, claimed, event('check', 'wait', 'paid')]],
    ['forbidden fail -> paid', [created, claimed, event('check', 'sending', 'fail'), event('check', 'fail', 'paid')]],
    [
      'claimed again after it may have been sent',
      [created, claimed, event('lease_expired', 'sending', 'unknown'), event('check', 'unknown', 'queued'), claimed],
    ],
    [
      'claimed again after it may have been sent',
      [created, claimed, event('submission', 'sending', 'queued', 'ambiguous'), claimed],
    ],
    ['claimed again after it may have been sent', [...SENT_AGAIN.slice(0, 6), claimed]],
    ['asked about as after a restore, without one', DOUBTED],
    ['doubted by "check"', [created, event('check', 'queued', 'unknown')]],
  ])('finds a history that %s (%#)', (why, events) => {
    const found = checkLedger(books({ events })).filter(({ rule }) => rule === 'history');
    expect(found.map(({ detail }) => detail)).toContainEqual(expect.stringContaining(why));
  });

  it('names the order that a violation is about', () => {
    expect(checkLedger(books({ accepted: { [ORDER]: 2 } }))).toEqual([
      { rule: 'accepted twice', orderId: ORDER, detail: 'accepted 2 times, refused as taken 0 times' },
    ]);
  });

  it('counts each side by itself', () => {
    const lines = new Map(countLedger(books({ provider: [] })).map((line) => [line.what, line]));
    expect(lines.get('paid')).toEqual({ what: 'paid', clients: null, database: 1, provider: 0 });
    expect(lines.get('created')).toEqual({ what: 'created', clients: 1, database: 1, provider: null });
  });
});
