import { OverloadedError, SignatureInvalidError } from '../alikassa.errors.js';
import { instruments, secondsSince } from '../instrumentation/instruments.js';
import type { OpenOrders } from '../payouts/open.orders.js';
import type { NotificationFields } from '../provider/provider.types.js';
import type { SignatureProvider } from '../provider/signature.provider.js';
import type { NotificationRefusals } from './notification.refusals.js';
import { TimeBudget } from './time.budget.js';

/** Of one thread's time that refused notifications may take: the rest is for payouts. */
const SHARE = 0.05;
/** And beside it those that name an open payout of ours, which is known to few. */
const SHARE_OF_OPEN = 0.05;
const BURST_MS = 100;
/** One never counts for more: a process that was stopped meanwhile is not the sender's doing. */
const MOST_MS = 10;

/** One for all: to make an error, its stack included, costs as much as to answer. */
const OVERLOADED = new OverloadedError(
  'Too many notifications at once; this one was not looked at. Repeat it in a while.',
);

/**
 * Verifies notifications, one at a time, as long as the refused ones have not used up their share of the time. Whoever
 * sends many cannot starve the payouts then. One that names an open payout, which strangers hardly can, is verified all the
 * same; any other genuine one that is turned away comes again, or polling settles.
 *
 * Not a limit per address (@nestjs/throttler): behind a proxy all senders have one, the provider's own are not published,
 * and it would look only after the framework has spent more on a request than a signature costs.
 */
export class NotificationVerifier {
  private readonly strangers = new TimeBudget(SHARE, BURST_MS);
  private readonly ofOpen = new TimeBudget(SHARE_OF_OPEN, BURST_MS);

  constructor(
    private readonly signature: SignatureProvider,
    private readonly refusals: NotificationRefusals,
    private readonly openOrders: OpenOrders,
  ) {}

  /**
   * @param rawQuery as it came, undecoded.
   * @param overheadMs what a refused request has cost beside this call.
   * @throws SignatureInvalidError, OverloadedError
   */
  verify(rawQuery: string, overheadMs = 0): NotificationFields {
    const budget = this.budgetFor(rawQuery);
    if (!budget) throw this.overloaded();
    const startedAt = performance.now();
    try {
      const fields = this.signature.verifyNotification(rawQuery);
      instruments().signature.record(secondsSince(startedAt), { 'alikassa.signature.operation': 'verify' });
      return fields;
    } catch (error) {
      const now = performance.now();
      budget.spend(Math.min(now - startedAt, MOST_MS) + overheadMs, now);
      if (error instanceof SignatureInvalidError) this.refusals.count(error.reason);
      throw error;
    }
  }

  /** Whether the next one is verified whatever it says. */
  get isCalm(): boolean {
    return !this.strangers.isSpent(performance.now());
  }

  /** Whether this one is verified. */
  admits(rawQuery: string): boolean {
    return this.budgetFor(rawQuery) !== undefined;
  }

  /** Counts one more that is turned away. */
  overloaded(): OverloadedError {
    this.refusals.count('overload');
    return OVERLOADED;
  }

  /** What the notification uses up if it is refused; undefined where that is spent. */
  private budgetFor(rawQuery: string): TimeBudget | undefined {
    if (this.isCalm) return this.strangers;
    const query = new URLSearchParams(rawQuery);
    const isOpen = this.openOrders.has(query.get('order_id') ?? '', query.get('id') ?? '');
    return isOpen && !this.ofOpen.isSpent(performance.now()) ? this.ofOpen : undefined;
  }
}
