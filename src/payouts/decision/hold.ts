import type { PauseReason } from '../account.pause.js';
import { holding, pauseAlarm, sameAlarms, withAlarms, type Alarm } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import { jittered } from '../payout.schedule.js';
import { isFinal } from '../payout.status.js';
import { isSendable } from './attempt.js';
import type { Decision } from './decision.js';

/** The account is paused: the payout stays queued, says why, and tries again when the pause is over. */
export function paused(payout: Payout, reason: PauseReason, afterMs: number): Decision | null {
  if (!isSendable(payout)) return null;
  const attention = [pauseAlarm(reason)];
  const isNew = !sameAlarms(attention, payout.attention);
  const event = isNew ? { type: 'paused', detail: { attention: pauseAlarm(reason) } } : null;
  return { to: 'queued', set: { attention }, next: { task: 'submit', afterMs: jittered(afterMs) }, event };
}

/**
 * A payout that cannot be sent as it is stored is not sent until a person has looked; one that was sent is only marked. An
 * attempt under way has read the row; should it come back to the queue, the next one reads it again.
 */
export function fault(payout: Payout, alarm: Alarm): Decision | null {
  if (payout.status === 'sending' || isFinal(payout.status) || payout.attention.includes(alarm)) return null;
  const next = payout.status === 'queued' ? null : 'keep';
  const attention = withAlarms(payout.status === 'queued' ? holding(payout.attention) : payout.attention, alarm);
  return { to: payout.status, set: { attention }, next, event: { type: 'fault', detail: { attention: alarm } } };
}
