import type { ResolvedOptions } from '../alikassa.options.js';

export interface NextJob {
  task: 'submit' | 'check';
  afterMs: number;
}

/** Jitter spreads what a fault has synchronised. */
const JITTER = 0.1;
const MAX_BACKOFF_MS = 300_000;

/** The next status call. @param notBeforeMs what the provider asked for, e.g. by Retry-After. */
export function nextCheck(
  checkCount: number,
  policy: Pick<ResolvedOptions, 'checkSchedule'>,
  notBeforeMs = 0,
): NextJob {
  const { checkSchedule } = policy;
  const pause = checkSchedule[Math.min(checkCount, checkSchedule.length - 1)] ?? 0;
  return { task: 'check', afterMs: Math.max(jittered(pause), notBeforeMs) };
}

/** Around the given time, by a tenth either way. */
export function jittered(ms: number): number {
  return Math.round(ms * (1 - JITTER + 2 * JITTER * Math.random()));
}

/** Pause before an attempt is repeated, doubling from a second to five minutes. @param failures 1 or more. */
export function backoff(failures: number): number {
  return jittered(Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (failures - 1)));
}

/**
 * The next status call for a payout that is final, but not by the provider's word; null after the last one.
 * @param checkCount calls since it ended.
 */
export function followUp(checkCount: number, policy: Pick<ResolvedOptions, 'followUpSchedule'>): NextJob | null {
  const pause = policy.followUpSchedule[checkCount];
  return pause === undefined ? null : { task: 'check', afterMs: jittered(pause) };
}
