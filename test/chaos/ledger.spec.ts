import { checkLedger, countLedger, LOCKED_SECONDS, type Books, type BookedPayout } from './ledger.mjs';

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
const created = { payoutId: ROW.id, type: 'created', from: null, to: 'queued', outcome: '' };
const claimed = { payoutId: ROW.id, type: 'claimed', from: 'queued', to: 'sending', outcome: '' };

/** A line of the payout's history. */
function event(type: string, from: string, to: string, outcome = ''): Books['events'][number] {
  return { payoutId: ROW.id, type, from, to, outcome };
}

/** One payout that was created, sent once and paid, with all sides agreeing; and what a test changes of that. */
function books(changes: Partial<Books> = {}, row: Partial<BookedPayout> = {}): Books {
  return {
    orders: [ORDER],
    acknowledged: { [ORDER]: { ids: [ROW.id], created: 1 } },
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
    submissions: { [ORDER]: [200] },
    accepted: { [ORDER]: 1 },
    provider: [PAID],
    faults: [],
    ...changes,
  };
}

/** One payout that the provider has never got, held for a person. */
function held(row: Partial<BookedPayout> = {}, changes: Partial<Books> = {}): Books {
  const events = [created, claimed, event('lease_expired', 'sending', 'unknown')];
  const nothing = { events, handled: [], submissions: { [ORDER]: [] }, accepted: { [ORDER]: 0 }, provider: [] };
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
  return held(row, { events, submissions: { [ORDER]: [400] }, ...changes });
}

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
      'a handler that was told of one event twice',
      books({ handled: [4, 4].map((id) => ({ payoutId: ROW.id, eventId: `${id}` })) }),
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
    ['created twice', books({ acknowledged: { [ORDER]: { ids: [ROW.id], created: 2 } } })],
    ['acknowledged under another id', books({ acknowledged: { [ORDER]: { ids: [ROW.id, 'payout-2'], created: 1 } } })],
    ['payout nobody ordered', books({ orders: [] })],
    ['accepted twice', books({ accepted: { [ORDER]: 2 } })],
    ['provider disagrees with itself', books({ accepted: { [ORDER]: 0 } })],
    ['submitted twice', books({ submissions: { [ORDER]: [200, 400] } })],
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
    ['rejected without a refusal', rejected({ submissions: { [ORDER]: [500] } })],
    ['other amount', books({ provider: [{ ...PAID, paymentAmount: '12.50' }] })],
    ['other provider id', books({}, { providerId: '101' })],
    ['handler not called', books({ handled: [] })],
    ['handler called for nothing', held({}, { handled: [{ payoutId: ROW.id, eventId: '4' }] })],
    ['handler called for two events', books({ handled: [4, 5].map((id) => ({ payoutId: ROW.id, eventId: `${id}` })) })],
    ['job stays locked', books({ jobs: [{ name: 'check', isWanted: true, lockedSeconds: LOCKED_SECONDS + 1 }] })],
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
  ])('finds a history that %s (%#)', (why, events) => {
    const found = checkLedger(books({ events })).filter(({ rule }) => rule === 'history');
    expect(found.map(({ detail }) => detail)).toContainEqual(expect.stringContaining(why));
  });

  it('names the order that a violation is about', () => {
    expect(checkLedger(books({ accepted: { [ORDER]: 2 } }))).toEqual([
      { rule: 'accepted twice', orderId: ORDER, detail: 'accepted 2 times' },
    ]);
  });

  it('counts each side by itself', () => {
    const lines = new Map(countLedger(books({ provider: [] })).map((line) => [line.what, line]));
    expect(lines.get('paid')).toEqual({ what: 'paid', clients: null, database: 1, provider: 0 });
    expect(lines.get('created')).toEqual({ what: 'created', clients: 1, database: 1, provider: null });
  });
});
