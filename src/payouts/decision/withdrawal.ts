import { StateConflictError } from '../../alikassa.errors.js';
import type { Decision } from '../payout.decision.js';
import type { Payout } from '../payout.entity.js';
import { refuseWhileAskedAbout } from './restored.js';

/** The host takes a payout back. @throws StateConflictError unless it was never sent. */
export function withdrawal(payout: Payout, actor: string | undefined): Decision {
  refuseWhileAskedAbout(payout);
  const isKnownToProvider = payout.attention?.startsWith('conflict_') ?? false;
  if (payout.status !== 'queued' || payout.possiblySent || isKnownToProvider) {
    throw new StateConflictError(
      `Payout ${payout.id} is ${payout.status} and may have been sent: only one that never was can be withdrawn.`,
    );
  }
  return { to: 'withdrawn', set: { attention: null }, next: null, event: { type: 'withdrawal', actor, detail: {} } };
}
