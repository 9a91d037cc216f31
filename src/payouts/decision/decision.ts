import type { ResolvedOptions } from '../../alikassa.options.js';
import type { PauseChange } from '../account.pause.js';
import type { Payout } from '../payout.entity.js';
import type { NextJob } from '../payout.schedule.js';
import type { PayoutStatus } from '../payout.status.js';

/** What one piece of evidence does to one payout. */
export interface Decision {
  to: PayoutStatus;
  /** Columns that change besides the status. */
  set: Partial<Payout>;
  /** Next job; `null`: none is left to do, so what was scheduled lapses; `keep`: what is scheduled stays. */
  next: NextJob | null | 'keep';
  /** Line for the history, and a new revision; `null` where nothing changes that a person would look at. */
  event: { type: string; actor?: string | undefined; decision?: string; detail: Record<string, unknown> } | null;
  /** What the evidence says of the account as a whole. */
  pause?: PauseChange | undefined;
}

export type DecisionPolicy = Pick<
  ResolvedOptions,
  | 'leaseMs'
  | 'checkSchedule'
  | 'followUpSchedule'
  | 'attentionAfterMs'
  | 'rejectAfterNotFound'
  | 'rejectAfterMs'
  | 'onNotFound'
  | 'maxUnsentAttempts'
  | 'maxResubmissions'
  | 'pauseMs'
  | 'confirmNotifications'
>;

/** Attempts that may have reached the provider, the one under way included. */
export function maybeSent({ attempt, unsentTotal }: Pick<Payout, 'attempt' | 'unsentTotal'>): number {
  return attempt - unsentTotal;
}

/** What changes with a payout that the provider knows: counts of the time before begin anew. */
export const FOUND = {
  possiblySent: true,
  notFoundCount: 0,
  notFoundSince: null,
  refusedAt: null,
  checkCount: 0,
  doubtedAt: null,
} as const satisfies Partial<Payout>;
