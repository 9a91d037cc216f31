import { OverloadedError, SignatureInvalidError } from '../alikassa.errors.js';
import { instruments, secondsSince } from '../instrumentation/instruments.js';
import type { NotificationFields } from '../provider/provider.types.js';
import type { SignatureProvider } from '../provider/signature.provider.js';
import type { NotificationRefusals } from './notification.refusals.js';
import { TimeBudget } from './time.budget.js';

/** Of one thread's time that refused notifications may take: the rest is for payouts. */
const SHARE = 0.15;
const BURST_MS = 100;
/** One never counts for more: a process that was stopped meanwhile is not the sender's doing. */
const MOST_MS = 10;

/**
 * Verifies notifications, one at a time, as long as the refused ones have not used up their share of the time. Whoever
 * sends many cannot starve the payouts then; a genuine one that is turned away comes again, or polling settles.
 *
 * Not a limit per address (@nestjs/throttler): behind a proxy all senders have one, the provider's own are not published,
 * and it would look only after the framework has spent more on a request than a signature costs.
 */
export class NotificationVerifier {
  private readonly budget = new TimeBudget(SHARE, BURST_MS);

  constructor(
    private readonly signature: SignatureProvider,
    private readonly refusals: NotificationRefusals,
  ) {}

  /**
   * @param rawQuery as it came, undecoded.
   * @param overheadMs what a refused request has cost beside this call.
   * @throws SignatureInvalidError, OverloadedError
   */
  verify(rawQuery: string, overheadMs = 0): NotificationFields {
    this.admit();
    const startedAt = performance.now();
    try {
      const fields = this.signature.verifyNotification(rawQuery);
      instruments().signature.record(secondsSince(startedAt), { 'alikassa.signature.operation': 'verify' });
      return fields;
    } catch (error) {
      const now = performance.now();
      this.budget.spend(Math.min(now - startedAt, MOST_MS) + overheadMs, now);
      if (error instanceof SignatureInvalidError) this.refusals.count(error.reason);
      throw error;
    }
  }

  /** @throws OverloadedError once the refused ones have used up their share. */
  admit(): void {
    if (this.budget.isSpent(performance.now())) throw this.overloaded();
  }

  /** Counts one more that is turned away. */
  overloaded(): OverloadedError {
    this.refusals.count('overload');
    return new OverloadedError('Too many notifications at once; this one was not looked at. Repeat it in a while.');
  }
}
