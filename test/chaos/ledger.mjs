import { groupBy } from './group.by.mjs';
import { checkDecisions } from './ledger.decisions.mjs';

/** A job that is locked for longer is one that nobody runs: far more than a call to the provider and a lease take. */
export const LOCKED_SECONDS = 30;

const PROVIDER_FINALS = ['paid', 'cancel', 'fail'];
const FINALS = [...PROVIDER_FINALS, 'rejected', 'withdrawn'];
/** Written out here, not imported: the product must not vouch for itself. */
const TRANSITIONS = {
  queued: ['sending', 'withdrawn', ...PROVIDER_FINALS, 'wait', 'unknown'],
  sending: ['queued', 'wait', 'unknown', ...PROVIDER_FINALS],
  wait: PROVIDER_FINALS,
  unknown: ['queued', 'wait', 'rejected', ...PROVIDER_FINALS],
};
/**
 * Reasons that may stand at the end; any other speaks of evidence that contradicts itself, which no fault here makes, or of
 * what the people have to end.
 */
const REASONS = {
  queued: ['retries_used_up'],
  unknown: ['not_found', 'unauthorized', 'overdue'],
  paid: ['paid_in_part'],
};
/** The same, in any status, of a payout whose attempt a promoted standby has forgotten. */
const REASONS_AFTER_LOSS = ['known_to_provider_before_sent', 'late_answer'];

/**
 * Holds the three sides against each other: what clients were told, what the database says, what the provider has.
 * Pure; see ledger.d.mts for the shapes.
 */
export function checkLedger(books) {
  const violations = [];
  const found = (rule, orderId, detail) => violations.push({ rule, orderId, detail });
  const rowsOf = groupBy(books.payouts, ({ orderId }) => orderId);
  const eventsOf = groupBy(books.events, ({ payoutId }) => payoutId);
  const callsOf = groupBy(books.handled, ({ payoutId }) => payoutId);
  const provider = new Map(books.provider.map((payout) => [payout.orderId, payout]));
  const orders = new Set(books.orders);

  for (const { orderId, why } of books.refused) found('create refused', orderId, why);
  for (const orderId of orders) {
    const told = books.acknowledged[orderId] ?? [];
    const rows = rowsOf.get(orderId) ?? [];
    const lasting = told.filter(({ mayBeForgotten }) => !mayBeForgotten);
    if (told.length === 0) found('create never answered', orderId, 'no process has answered it');
    if (lasting.length > 0 && rows.length === 0) found('payout lost', orderId, 'acknowledged, not in the database');
    if (rows.length > 1) found('payout doubled', orderId, `${rows.length} rows`);
    for (const [id, answers] of groupBy(told, ({ id }) => id)) {
      const created = answers.filter(({ isNew }) => isNew).length;
      if (created > 1) found('created twice', orderId, `answered 201 ${created} times for ${id}`);
    }
    const other = rows[0] && lasting.find(({ id }) => id !== rows[0].id);
    if (other) found('acknowledged under another id', orderId, `told ${other.id}, the row is ${rows[0].id}`);
  }
  for (const row of books.payouts) {
    if (!orders.has(row.orderId)) found('payout nobody ordered', row.orderId, row.id);
    const events = eventsOf.get(row.id) ?? [];
    checkAgainstProvider(row, events, provider.get(row.orderId), books, found);
    checkHistory(row, events, books, found);
    checkHandler(row, callsOf.get(row.id) ?? [], found);
  }
  for (const [orderId, times] of Object.entries(books.accepted)) {
    const submissions = books.submissions[orderId] ?? [];
    // The provider here refuses an order that it knows; another one would have paid it again.
    const taken = times > 0 ? submissions.filter(({ status }) => status === 400).length : 0;
    if (times + taken > 1) found('accepted twice', orderId, `accepted ${times} times, refused as taken ${taken} times`);
    if (times > 0 !== provider.has(orderId))
      found('provider disagrees with itself', orderId, `accepted ${times} times`);
  }
  for (const orderId of provider.keys()) {
    if (!rowsOf.has(orderId) && !isForgotten(orderId, books)) {
      found('accepted, unknown here', orderId, 'the provider has it, the database does not');
    }
  }
  checkDecisions(books, eventsOf, found);
  for (const { name, isWanted, lockedSeconds } of books.jobs) {
    if (isWanted && lockedSeconds > LOCKED_SECONDS) {
      found('job stays locked', undefined, `${name} for ${Math.round(lockedSeconds)} s`);
    }
  }
  for (const fault of books.faults) found('process', undefined, fault);
  return violations;
}

/** Whether every answer that it was created may have been forgotten by a promoted standby: then it is right that it is gone. */
function isForgotten(orderId, { acknowledged }) {
  const told = acknowledged[orderId] ?? [];
  return told.length > 0 && told.every(({ mayBeForgotten }) => mayBeForgotten);
}

function checkAgainstProvider(row, events, theirs, books, found) {
  const { orderId, status, attention } = row;
  const submissions = books.submissions[orderId] ?? [];
  const lasting = submissions.filter(({ mayBeForgotten }) => !mayBeForgotten);
  if (lasting.length > row.attempt) {
    found('submitted without a claim', orderId, `${lasting.length} requests, ${row.attempt} claims`);
  }
  // Whatever was answered, a request that arrived may have been accepted: no second one follows by itself.
  const wanted = events.filter(isResubmission).length;
  if (lasting.length > 1 + wanted) {
    const answers = lasting.map((one) => one.status).join(', ');
    found('submitted twice', orderId, `answered ${answers}; ${wanted} times sent again by a person`);
  }
  if (lasting.length > 0 && !row.possiblySent) found('sent, not marked as sent', orderId, status);
  if (!FINALS.includes(status)) {
    if (status !== 'unknown' && status !== 'queued') found('not settled', orderId, `still ${status}`);
    else if (attention === null) found('not settled', orderId, `${status} without a reason`);
    else if (theirs) found('not settled', orderId, `${status} (${attention}), the provider says ${theirs.status}`);
    if (status === 'unknown' && !row.isScheduled) found('no longer asked about', orderId, `${attention}`);
  }
  const mayStand = [...(REASONS[status] ?? []), ...(lasting.length < submissions.length ? REASONS_AFTER_LOSS : [])];
  const unexpected = alarmsIn(attention).filter((alarm) => !mayStand.includes(alarm));
  if (unexpected.length > 0) found('unexpected attention', orderId, `${status}, ${unexpected.join(' ')}`);
  if (FINALS.includes(status) && status !== 'paid' && (theirs?.status === 'wait' || theirs?.status === 'paid')) {
    found('ended while the provider pays', orderId, `${status}, the provider says ${theirs.status}`);
  } else if (PROVIDER_FINALS.includes(status) && theirs?.status !== status && !isFailedByPerson(status, events)) {
    found('other status', orderId, `${status}, the provider says ${theirs?.status ?? 'nothing'}`);
  } else if ((status === 'rejected' || status === 'withdrawn') && theirs) {
    found('other status', orderId, `${status}, the provider says ${theirs.status}`);
  }
  if (status === 'rejected' && !submissions.some((one) => one.status === 400)) {
    found(
      'rejected without a refusal',
      orderId,
      `answered ${submissions.map((one) => one.status).join(', ') || 'nothing'}`,
    );
  }
  if (status === 'paid' && theirs && cents(row.paymentAmount) !== cents(theirs.paymentAmount)) {
    found('other amount', orderId, `${row.paymentAmount}, the provider paid ${theirs.paymentAmount}`);
  }
  if (row.providerId !== null && row.providerId !== theirs?.id) {
    found('other provider id', orderId, `${row.providerId}, the provider's is ${theirs?.id ?? 'missing'}`);
  }
}

/** A person may end a payout that the provider does not have, or has not paid. */
function isFailedByPerson(status, events) {
  return (
    status === 'fail' && events.some(({ type, from, to }) => type === 'person' && to === 'fail' && from !== 'fail')
  );
}

function isResubmission({ type, from, to }) {
  return type === 'person' && to === 'queued' && from !== null;
}

/** The alarms of a payout: their names stand in its row with a space between them. */
export function alarmsIn(attention) {
  return attention === null ? [] : attention.split(' ');
}

/** The host hears of every paid payout: at least once, and always of the same event. */
function checkHandler(row, calls, found) {
  const events = new Set(calls.map(({ eventId }) => eventId));
  if (row.status === 'paid' && events.size === 0) found('handler not called', row.orderId, 'paid');
  if (row.status !== 'paid' && events.size > 0) found('handler called for nothing', row.orderId, row.status);
  if (events.size > 1) found('handler called for two events', row.orderId, [...events].join(', '));
}

function checkHistory(row, events, { promotions }, found) {
  const broken = (why) =>
    found('history', row.orderId, `${why}: ${events.map(({ type, to }) => `${type} ${to}`).join(', ')}`);
  const [first] = events;
  if (first?.type !== 'created' || first.from !== null || first.to !== 'queued')
    broken('does not begin with its creation');
  if (events.filter(({ type }) => type === 'created').length > 1) broken('begins twice');
  if (events.length > 0 && events.at(-1).to !== row.status) broken(`ends otherwise than the row (${row.status})`);
  const claims = events.filter(({ type }) => type === 'claimed').length;
  if (claims !== row.attempt) broken(`${claims} claims, ${row.attempt} attempts`);
  let mayBeSent = false;
  let wasSent = false;
  for (const [index, event] of events.entries()) {
    const { type, from, to, outcome } = event;
    if (index > 0 && from !== events[index - 1].to) broken(`has a gap before "${type}"`);
    if (from !== null && from !== to && !(TRANSITIONS[from] ?? []).includes(to)) broken(`forbidden ${from} -> ${to}`);
    const isDoubted = from === 'queued' && to === 'unknown';
    // One that a person sends again, and for which no connection could be opened, is asked about.
    if (isDoubted && type !== 'restored' && !(type === 'submission' && wasSent)) broken(`doubted by "${type}"`);
    if (type === 'restored' && promotions === 0) broken('asked about as after a restore, without one');
    // A person knows that it is not there; the attempt's own late answer proves that it never left.
    if (isResubmission(event) || (type === 'submission' && outcome === 'never_sent')) mayBeSent = false;
    if (type === 'claimed' && mayBeSent) broken('claimed again after it may have been sent');
    if (type === 'lease_expired' || (type === 'submission' && outcome !== 'never_sent')) {
      mayBeSent = true;
      wasSent = true;
    }
  }
}

/** How many of what, as each side counts it; `null` where a side cannot know. */
export function countLedger(books) {
  const rows = (test) => books.payouts.filter(test).length;
  const theirs = (test) => books.provider.filter(test).length;
  const values = (record, test) => Object.values(record).filter(test).length;
  const final = (status) => ({
    what: status,
    clients: null,
    database: rows((row) => row.status === status),
    provider: theirs((payout) => payout.status === status),
  });
  const here = (what, test) => ({ what, clients: null, database: rows(test), provider: null });
  const orderIds = new Set(books.payouts.map(({ orderId }) => orderId));
  const lost = books.orders.filter((orderId) => !orderIds.has(orderId) && isForgotten(orderId, books));
  const byPerson = (test) => new Set(books.events.filter(test).map(({ payoutId }) => payoutId)).size;
  return [
    { what: 'ordered', clients: books.orders.length, database: null, provider: null },
    {
      what: 'created',
      clients: values(books.acknowledged, (told) => told.length > 0),
      database: rows(() => true),
      provider: null,
    },
    {
      what: 'lost in a promotion',
      clients: lost.length,
      database: null,
      provider: lost.filter((orderId) => books.accepted[orderId] > 0).length,
    },
    {
      what: 'submitted (here: maybe)',
      clients: null,
      database: rows((row) => row.possiblySent),
      provider: values(books.submissions, (requests) => requests.length > 0),
    },
    {
      what: 'accepted (here: known id)',
      clients: null,
      database: rows((row) => row.providerId !== null),
      provider: values(books.accepted, (times) => times > 0),
    },
    ...PROVIDER_FINALS.map(final),
    {
      what: 'told to the handler (paid)',
      clients: null,
      database: new Set(books.handled.map(({ payoutId }) => payoutId)).size,
      provider: null,
    },
    { what: 'sent again by a person', clients: null, database: byPerson(isResubmission), provider: null },
    {
      what: 'failed by a person',
      clients: null,
      database: byPerson(({ type, from, to }) => type === 'person' && to === 'fail' && from !== to),
      provider: null,
    },
    here('withdrawn', (row) => row.status === 'withdrawn'),
    here('rejected', (row) => row.status === 'rejected'),
    here('held: not found', (row) => !FINALS.includes(row.status) && row.attention !== null),
    here('not settled', (row) => !FINALS.includes(row.status) && row.attention === null),
  ];
}

/** "10.5" and "10.50" are one amount. */
function cents(amount) {
  const [whole = '0', fraction = ''] = String(amount ?? '').split('.');
  return `${whole}.${fraction.padEnd(2, '0').replace(/0+$/, '').padEnd(2, '0')}`;
}
