import type { PauseReason } from './account.pause.js';

/** Every alarm that a payout may carry, with what it says. docs/operating.md says what to do about each. */
export const ALARMS = [
  /** May have been sent, and the provider does not know it, as often and as long as configured. */
  'not_found',
  /** The provider refused key or account as this was sent. */
  'unauthorized',
  /** Queued until the account may send again. */
  'paused_unauthorized',
  /** Queued until the account may send again. */
  'paused_rate_limited',
  /** Open for longer than `attentionAfterMs`. */
  'overdue',
  /** Never left this machine, `maxUnsentAttempts` times. */
  'retries_used_up',
  /** Cannot be read back: its key is missing, or the row was changed. */
  'recipient_unreadable',
  /** The provider has it though this database never sent it. */
  'known_to_provider_before_sent',
  /** An attempt that had lost its lease was accepted all the same. */
  'late_answer',
  /** One attempt failed, and another one that may have been sent is not accounted for. */
  'attempts_unaccounted',
  /** Paid, but less than asked for. */
  'paid_in_part',
  /** The provider says another final status than the one that stands here. */
  'conflict_status',
  /** The provider speaks of another amount. */
  'conflict_amount',
  /** The provider speaks of another account. */
  'conflict_account',
  /** The provider has several ids for this payout, or one that belongs to another. */
  'conflict_provider_id',
  /** The provider answers with another order. */
  'conflict_order_id',
  /** The provider speaks of another recipient. */
  'conflict_recipient',
  /** The provider speaks of another service. */
  'conflict_service',
] as const;

/** Why a person should look at a payout. */
export type Alarm = (typeof ALARMS)[number];

/** Alarms that only say "nobody knows yet": the provider's word answers them. */
const ANSWERED: ReadonlySet<Alarm> = new Set(['not_found', 'overdue', 'unauthorized']);

/** Alarms about something that was heard: a person who has looked closes them. Any other goes when the payout moves on. */
const CLOSABLE: ReadonlySet<Alarm> = new Set([
  'recipient_unreadable',
  'known_to_provider_before_sent',
  'late_answer',
  'attempts_unaccounted',
  'paid_in_part',
]);

/** Whether a person may close it without deciding on the payout. */
export function isClosable(alarm: Alarm): boolean {
  return CLOSABLE.has(alarm) || hasConflict([alarm]);
}

/** The set with further alarms: each once, sorted, so that equal sets are equal lists. */
export function withAlarms(attention: readonly Alarm[], ...more: Alarm[]): Alarm[] {
  return [...new Set([...attention, ...more])].sort();
}

export function withoutAlarms(attention: readonly Alarm[], closed: readonly Alarm[]): Alarm[] {
  return attention.filter((alarm) => !closed.includes(alarm));
}

/** Whether both hold the same alarms. */
export function sameAlarms(one: readonly Alarm[], other: readonly Alarm[]): boolean {
  return one.length === other.length && one.every((alarm) => other.includes(alarm));
}

/** The alarm of a payout that waits for its account. */
export function pauseAlarm(reason: PauseReason): Alarm {
  return `paused_${reason}`;
}

/** The alarms that hold a payout; a pause of its account ends by itself. */
export function holding(attention: readonly Alarm[]): Alarm[] {
  return attention.filter((alarm) => !alarm.startsWith('paused_'));
}

/** The alarms that stay when the provider has spoken. */
export function unanswered(attention: readonly Alarm[]): Alarm[] {
  return holding(attention).filter((alarm) => !ANSWERED.has(alarm));
}

/** Whether the provider has spoken of the payout, and said what cannot be. */
export function hasConflict(attention: readonly Alarm[]): boolean {
  return attention.some((alarm) => alarm.startsWith('conflict_'));
}

/** How the set stands in its text column: names separated by a space; null for none, which keeps the index small. */
export const ATTENTION_TEXT = {
  from: (text: string | null | undefined): Alarm[] => (text ? (text.split(' ') as Alarm[]) : []),
  to: (attention: readonly Alarm[] | undefined): string | null =>
    attention && attention.length > 0 ? attention.join(' ') : null,
};
