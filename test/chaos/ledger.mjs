/** A job that is locked for longer is one that nobody runs: far more than a call to the provider and a lease take. */
export const LOCKED_SECONDS = 30;

const PROVIDER_FINALS = ['paid', 'cancel', 'fail'];
const FINALS = [...PROVIDER_FINALS, 'rejected', 'withdrawn'];
/** Written out here, not imported: the product must not vouch for itself. */
const TRANSITIONS = {
  queued: ['sending', 'withdrawn', ...PROVIDER_FINALS, 'wait'],
  sending: ['queued', 'wait', 'unknown', ...PROVIDER_FINALS],
  wait: PROVIDER_FINALS,
  unknown: ['queued', 'wait', 'rejected', ...PROVIDER_FINALS],
};
/** Reasons that may stand at the end; any other speaks of evidence that contradicts itself, which no fault here makes. */
const REASONS = {
  queued: ['retries_used_up'],
  unknown: ['not_found', 'unauthorized', 'overdue'],
  paid: ['paid_in_part'],
};

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
    const told = books.acknowledged[orderId];
    const rows = rowsOf.get(orderId) ?? [];
    if (!told) found('create never answered', orderId, 'no process has answered it');
    if (told && rows.length === 0) found('payout lost', orderId, 'acknowledged, not in the database');
    if (rows.length > 1) found('payout doubled', orderId, `${rows.length} rows`);
    if (told && told.created > 1) found('created twice', orderId, `answered 201 ${told.created} times`);
    if (told && rows[0] && told.ids.some((id) => id !== rows[0].id)) {
      found('acknowledged under another id', orderId, `told ${told.ids.join(', ')}, the row is ${rows[0].id}`);
    }
  }
  for (const row of books.payouts) {
    if (!orders.has(row.orderId)) found('payout nobody ordered', row.orderId, row.id);
    checkAgainstProvider(row, provider.get(row.orderId), books, found);
    checkHistory(row, eventsOf.get(row.id) ?? [], found);
    checkHandler(row, callsOf.get(row.id) ?? [], found);
  }
  for (const [orderId, times] of Object.entries(books.accepted)) {
    if (times > 1) found('accepted twice', orderId, `accepted ${times} times`);
    if (times > 0 !== provider.has(orderId))
      found('provider disagrees with itself', orderId, `accepted ${times} times`);
  }
  for (const [orderId, answers] of Object.entries(books.submissions)) {
    // Whatever was answered, a request that arrived may have been accepted: a second one must never follow.
    if (answers.length > 1) found('submitted twice', orderId, `answered ${answers.join(', ')}`);
  }
  for (const orderId of provider.keys()) {
    if (!rowsOf.has(orderId)) found('accepted, unknown here', orderId, 'the provider has it, the database does not');
  }
  for (const { name, isWanted, lockedSeconds } of books.jobs) {
    if (isWanted && lockedSeconds > LOCKED_SECONDS) {
      found('job stays locked', undefined, `${name} for ${Math.round(lockedSeconds)} s`);
    }
  }
  for (const fault of books.faults) found('process', undefined, fault);
  return violations;
}

function checkAgainstProvider(row, theirs, books, found) {
  const { orderId, status, attention } = row;
  const submissions = books.submissions[orderId] ?? [];
  if (submissions.length > row.attempt) {
    found('submitted without a claim', orderId, `${submissions.length} requests, ${row.attempt} claims`);
  }
  if (submissions.length > 0 && !row.possiblySent) found('sent, not marked as sent', orderId, status);
  if (!FINALS.includes(status)) {
    if (status !== 'unknown' && status !== 'queued') found('not settled', orderId, `still ${status}`);
    else if (attention === null) found('not settled', orderId, `${status} without a reason`);
    else if (theirs) found('not settled', orderId, `${status} (${attention}), the provider says ${theirs.status}`);
    if (status === 'unknown' && !row.isScheduled) found('no longer asked about', orderId, `${attention}`);
  }
  const unexpected = alarmsIn(attention).filter((alarm) => !(REASONS[status] ?? []).includes(alarm));
  if (unexpected.length > 0) found('unexpected attention', orderId, `${status}, ${unexpected.join(' ')}`);
  if (FINALS.includes(status) && status !== 'paid' && (theirs?.status === 'wait' || theirs?.status === 'paid')) {
    found('ended while the provider pays', orderId, `${status}, the provider says ${theirs.status}`);
  } else if (PROVIDER_FINALS.includes(status) && theirs?.status !== status) {
    found('other status', orderId, `${status}, the provider says ${theirs?.status ?? 'nothing'}`);
  } else if ((status === 'rejected' || status === 'withdrawn') && theirs) {
    found('other status', orderId, `${status}, the provider says ${theirs.status}`);
  }
  if (status === 'rejected' && !submissions.includes(400)) {
    found('rejected without a refusal', orderId, `answered ${submissions.join(', ') || 'nothing'}`);
  }
  if (status === 'paid' && theirs && cents(row.paymentAmount) !== cents(theirs.paymentAmount)) {
    found('other amount', orderId, `${row.paymentAmount}, the provider paid ${theirs.paymentAmount}`);
  }
  if (row.providerId !== null && row.providerId !== theirs?.id) {
    found('other provider id', orderId, `${row.providerId}, the provider's is ${theirs?.id ?? 'missing'}`);
  }
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

function checkHistory(row, events, found) {
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
  for (const [index, { type, from, to, outcome }] of events.entries()) {
    if (index > 0 && from !== events[index - 1].to) broken(`has a gap before "${type}"`);
    if (from !== null && from !== to && !(TRANSITIONS[from] ?? []).includes(to)) broken(`forbidden ${from} -> ${to}`);
    if (type === 'claimed' && mayBeSent) broken('claimed again after it may have been sent');
    if (type === 'lease_expired' || (type === 'submission' && outcome !== 'never_sent')) mayBeSent = true;
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
  return [
    { what: 'ordered', clients: books.orders.length, database: null, provider: null },
    { what: 'created', clients: values(books.acknowledged, () => true), database: rows(() => true), provider: null },
    {
      what: 'submitted (here: maybe)',
      clients: null,
      database: rows((row) => row.possiblySent),
      provider: values(books.submissions, (answers) => answers.length > 0),
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
    here('rejected', (row) => row.status === 'rejected'),
    here('held: not found', (row) => !FINALS.includes(row.status) && row.attention !== null),
    here('not settled', (row) => !FINALS.includes(row.status) && row.attention === null),
  ];
}

function groupBy(list, keyOf) {
  const groups = new Map();
  for (const item of list) {
    const key = keyOf(item);
    if (groups.has(key)) groups.get(key).push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** "10.5" and "10.50" are one amount. */
function cents(amount) {
  const [whole = '0', fraction = ''] = String(amount ?? '').split('.');
  return `${whole}.${fraction.padEnd(2, '0').replace(/0+$/, '').padEnd(2, '0')}`;
}
