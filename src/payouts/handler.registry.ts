import { ConfigurationError } from '../alikassa.errors.js';
import type { Payout } from './payout.entity.js';
import type { PayoutStatus } from './payout.status.js';

/** One change of a payout's status, as a handler gets it. */
export interface PayoutStatusChange {
  /** The same in every repeat of the call: what a handler that must act once remembers. */
  eventId: string;
  /** The status before; null where the payout was created. */
  from: PayoutStatus | null;
  to: PayoutStatus;
  occurredAt: Date;
  /** The payout as it is now: later changes included. */
  payout: Payout;
}

/** A method that hears of a change; it has taken it once it has returned, or its promise has resolved. */
export type PayoutStatusHandler = (change: PayoutStatusChange) => unknown;

interface Registered {
  statuses: ReadonlySet<PayoutStatus>;
  call: PayoutStatusHandler;
}

/** The host's handlers by name: the same name in every process and every version of the host. */
export class HandlerRegistry {
  private readonly handlers = new Map<string, Registered>();

  /** @throws ConfigurationError if the name is taken. */
  add(name: string, statuses: readonly PayoutStatus[], call: PayoutStatusHandler): void {
    if (this.handlers.has(name)) {
      throw new ConfigurationError('@OnPayoutStatus', `there are two handlers named ${name}; rename one of them`);
    }
    this.handlers.set(name, { statuses: new Set(statuses), call });
  }

  /** Names of the handlers of a status. */
  namesFor(status: PayoutStatus): string[] {
    return [...this.handlers].filter(([, { statuses }]) => statuses.has(status)).map(([name]) => name);
  }

  find(name: string): PayoutStatusHandler | undefined {
    return this.handlers.get(name)?.call;
  }
}
