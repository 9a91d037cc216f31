import type { Payout } from './payout.entity.js';

/** A payout as it was read; what is decided on it is written only if its row has not changed since. */
export class PayoutSnapshot {
  private readonly readAt = performance.now();

  /** @param at the database's clock when it was read. */
  constructor(
    readonly payout: Payout,
    private readonly at: Date,
  ) {}

  /** The database's clock now: when the payout was read, and the time that has passed here since. */
  get now(): Date {
    return new Date(this.at.getTime() + (performance.now() - this.readAt));
  }
}
