import type { PauseReason } from './account.pause.js';

const NOTE = 'paused_';

/** The `attention` of a payout that waits for its account. */
export function pauseNote(reason: PauseReason): string {
  return NOTE + reason;
}

export function isPauseNote(attention: string): boolean {
  return attention.startsWith(NOTE);
}
