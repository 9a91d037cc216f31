import { holding } from '../../src/payouts/attention.js';
import type { Payout, PayoutEvent } from '../../src/payouts/payout.entity.js';
import { isFinal, mayFollow } from '../../src/payouts/payout.status.js';
import type { ModelProvider } from './model.provider.js';

export type EventLine = Pick<PayoutEvent, 'type' | 'fromStatus' | 'toStatus' | 'attempt' | 'detail'>;

/** Everything that is to agree at one moment. */
export interface Picture {
  row: Payout;
  events: readonly EventLine[];
  provider: ModelProvider;
  /** The variant: what the provider and the host's options promise. */
  deduplicates: boolean;
  onNotFound: 'hold' | 'resubmit';
}

/** The first rule that is broken; null where all hold. */
export function violation(picture: Picture): string | null {
  return paidTwice(picture) ?? stranded(picture) ?? endedWrongly(picture) ?? unproven(picture) ?? history(picture);
}

/** What a move from one moment to a later one may not do. */
export function forbiddenMove(before: Payout, after: Payout): string | null {
  if (isFinal(before.status) && after.status !== before.status)
    return `final ${before.status} became ${after.status} by itself`;
  if (before.possiblySent && !after.possiblySent) return 'possiblySent turned false again';
  if (after.attempt < before.attempt || after.attempt > before.attempt + 1)
    return `attempt went from ${before.attempt} to ${after.attempt} at once`;
  const isHeld = holding(before.attention).length > 0;
  if (after.attempt > before.attempt && isHeld)
    return `taken to be sent though it is held: ${before.attention.join(', ')}`;
  if (before.providerId !== null && after.providerId !== before.providerId) return 'the provider id changed';
  if (isFinal(before.status) && before.settledAt?.getTime() !== after.settledAt?.getTime())
    return 'the time of the end changed';
  return null;
}

export function resubmitDecisions(events: readonly EventLine[]): number {
  return events.filter(({ type, detail }) => type === 'person' && detail['outcome'] === 'resubmit').length;
}

function automaticResubmissions(events: readonly EventLine[]): number {
  return events.filter(({ type, detail }) => type === 'check' && detail['resubmit'] === true).length;
}

function paidTwice({ provider, events, deduplicates, onNotFound }: Picture): string | null {
  const accepted = provider.records.length;
  const decided = resubmitDecisions(events);
  const mayAccept = deduplicates ? 1 : 1 + decided;
  if (accepted > mayAccept) return `accepted ${accepted} times, ${decided} resubmissions decided`;
  // Stronger than the former: it needs no provider that accepts. One that left may be accepted, so none may follow it.
  const automatic = automaticResubmissions(events);
  if (onNotFound === 'hold' && automatic > 0) return 'resubmitted by itself though the host chose to hold';
  if (provider.sent > 1 + decided + automatic)
    return `${provider.sent} requests left, with ${decided} resubmissions decided and ${automatic} of its own`;
  return null;
}

function stranded({ row, provider }: Picture): string | null {
  if (isFinal(row.status)) {
    if (!row.settledAt) return `${row.status} without the time of its end`;
    if (row.endedBy === null) return `${row.status} on nobody's word`;
    const isConfirmed = provider.said.some(({ status }) => status === row.status);
    const isLast = row.endedBy === 'provider' || row.endedBy === 'withdrawal' || row.checkCount > 0 || isConfirmed;
    return row.dueAt || isLast ? null : `${row.status} by ${row.endedBy}, and not asked about any more`;
  }
  if (row.settledAt) return `${row.status} with the time of an end`;
  if (row.status === 'sending') return row.leaseUntil && row.dueAt ? null : 'sending without a lease';
  if (row.leaseUntil) return `${row.status} with a lease`;
  if (row.dueAt) return null;
  // A queued payout may wait for a person alone; an open one is asked about whatever else is the matter.
  const isHeld = row.status === 'queued' && holding(row.attention).length > 0;
  return isHeld ? null : `${row.status} with nothing due, attention ${row.attention.join(', ')}`;
}

function endedWrongly({ row, events, provider, deduplicates }: Picture): string | null {
  const bySomeone = events.some(({ type, detail }) => type === 'person' && detail['outcome'] !== 'resubmit');
  if (row.status === 'withdrawn') {
    return provider.records.length + provider.onWire.length > 0 ? 'withdrawn though it was sent' : null;
  }
  if (bySomeone || provider.hasOverturned) return null;
  const states = provider.records.map(({ status }) => status);
  const isAlive = states.includes('wait') || states.includes('paid');
  const mayBeAccepted = provider.onWire.length > 0 && !(deduplicates && provider.records.length > 0);
  if ((row.status === 'fail' || row.status === 'rejected') && (isAlive || mayBeAccepted)) {
    return `${row.status} while the provider has ${states.join() || 'a request on its way'}`;
  }
  if (isFinal(row.status) && row.status !== 'rejected' && !states.some((status) => status === row.status)) {
    return `${row.status} while the provider has ${states.join() || 'nothing'}`;
  }
  return null;
}

/** What counts as never sent has left no trace at the provider, and what may have been sent is not sent again by itself. */
function unproven({ row, events, provider }: Picture): string | null {
  if (row.status !== 'queued') return null;
  if (!row.possiblySent) return provider.sent > 0 ? 'queued as never sent though a request left' : null;
  const back = events.findLast(({ fromStatus, toStatus }) => toStatus === 'queued' && fromStatus !== 'queued');
  if (back?.detail['never_sent'] === true)
    return provider.sent > 0 ? 'queued as never sent though a request left' : null;
  const isDecided = back?.type === 'person' || back?.detail['resubmit'] === true;
  return isDecided ? null : `queued again by ${back?.type} though it may have been sent`;
}

function history({ row, events }: Picture): string | null {
  const [first] = events;
  if (first?.type !== 'created' || first.fromStatus !== null || first.toStatus !== 'queued')
    return 'the history does not begin with the creation';
  for (const [index, event] of events.entries()) {
    if (index === 0) continue;
    const { fromStatus, toStatus, attempt } = event;
    const before = events[index - 1];
    if (fromStatus === null || fromStatus !== before?.toStatus)
      return `event ${index} (${event.type}) starts from ${fromStatus}, not from ${before?.toStatus}`;
    if (fromStatus !== toStatus && !mayFollow(fromStatus, toStatus))
      return `event ${index} leads from ${fromStatus} to ${toStatus}`;
    if (attempt !== before.attempt + (event.type === 'claimed' ? 1 : 0))
      return `event ${index} (${event.type}) has attempt ${attempt} after ${before.attempt}`;
  }
  const claims = events.filter(({ type }) => type === 'claimed').length;
  if (claims !== row.attempt) return `${claims} claims but attempt ${row.attempt}`;
  const last = events.at(-1)?.toStatus;
  if (row.revision !== events.length - 1) return `revision ${row.revision} after ${events.length} events`;
  return last === row.status ? null : `the history ends with ${last}, the row is ${row.status}`;
}
