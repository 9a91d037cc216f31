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

/**
 * What a call is owed to that was written before the handlers were known: to every handler of the change's status. A
 * worker, which starts when they are known, puts the calls of each in its place.
 */
export const EVERY_HANDLER = '*';

interface Registered {
  statuses: ReadonlySet<PayoutStatus>;
  call: PayoutStatusHandler;
}

/** The host's handlers by name: the same name in every process and every version of the host. */
export class HandlerRegistry {
  private readonly handlers = new Map<string, Registered>();
  private readonly aliases = new Map<string, string>();

  /** @param isComplete false: the handlers are still to be found. */
  constructor(private isComplete = true) {}

  /**
   * @param alias another name under which calls may be owed to it.
   * @throws ConfigurationError if the name is taken.
   */
  add(name: string, statuses: readonly PayoutStatus[], call: PayoutStatusHandler, alias?: string): void {
    if (this.handlers.has(name)) {
      throw new ConfigurationError(
        '@OnPayoutStatus',
        `there are two handlers named ${name}; rename one of them, or give it a { name } of its own, and provide one class once`,
      );
    }
    this.handlers.set(name, { statuses: new Set(statuses), call });
    if (alias !== undefined) this.aliases.set(alias, name);
  }

  /** All handlers are added. */
  complete(): void {
    this.isComplete = true;
  }

  /** Names of the handlers of a status; `EVERY_HANDLER` as long as they are not known. */
  namesFor(status: PayoutStatus): string[] {
    if (!this.isComplete) return [EVERY_HANDLER];
    return [...this.handlers].filter(([, { statuses }]) => statuses.has(status)).map(([name]) => name);
  }

  find(name: string): PayoutStatusHandler | undefined {
    return (this.handlers.get(name) ?? this.handlers.get(this.aliases.get(name) ?? ''))?.call;
  }
}
