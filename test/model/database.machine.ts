import { randomUUID } from 'node:crypto';
import { StaleRevisionError, StateConflictError } from '../../src/alikassa.errors.js';
import type { ResolvedOptions } from '../../src/alikassa.options.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import type { PayoutService } from '../../src/payouts/payout.service.js';
import type { PayoutStore } from '../../src/payouts/payout.store.js';
import { payload } from '../helpers/payload.js';
import type { TestDatabase } from '../helpers/database.js';
import { unprotected } from '../helpers/unprotected.js';
import type { EventLine } from './invariants.js';
import type { Machine } from './machine.js';
import { AMOUNT } from './model.provider.js';

/** What one run needs; the application that they are of has no worker, so that nothing else moves the payout. */
export interface RealParts {
  database: TestDatabase;
  payouts: PayoutService;
  store: PayoutStore;
  policy: ResolvedOptions;
}

/** A payout in a real database, moved by the real store. */
export class DatabaseMachine implements Machine {
  readonly orderId = randomUUID();
  readonly policy: ResolvedOptions;
  private id = '';
  /** By how much the row was made older in place of waiting. */
  private shiftedMs = 0;

  constructor(private readonly parts: RealParts) {
    this.policy = parts.policy;
  }

  async create(): Promise<this> {
    const { id } = await this.parts.payouts.create(this.order() as never);
    this.id = id;
    return this;
  }

  async now(): Promise<number> {
    return (await this.parts.store.read(this.id)).now.getTime() + this.shiftedMs;
  }

  async read(): Promise<Payout> {
    return (await this.parts.store.read(this.id)).payout;
  }

  async events(): Promise<EventLine[]> {
    return this.parts.payouts.events(this.id);
  }

  async settle(evidence: Evidence): Promise<boolean> {
    try {
      await this.parts.store.settle(this.id, evidence);
      return true;
    } catch (error) {
      if (error instanceof StateConflictError || error instanceof StaleRevisionError) return false;
      throw error;
    }
  }

  async race(one: Evidence, other: Evidence): Promise<void> {
    await Promise.all([this.settle(one), this.settle(other), this.settle(one), this.settle(other)]);
  }

  async repeat(): Promise<void> {
    const again = await Promise.all([1, 2].map(() => this.parts.payouts.create(this.order() as never)));
    if (again.some(({ id }) => id !== this.id)) throw new Error('a repeat made another payout');
  }

  /** Every time of the row goes back, which is the same as time passing. */
  async advance(ms: number): Promise<void> {
    this.shiftedMs += ms;
    const columns = ['lease_until', 'due_at', 'created_at', 'not_found_since', 'refused_at'];
    const older = columns.map((column) => `${column} = ${column} - $2 * interval '1 ms'`).join(', ');
    await unprotected(this.parts.database.pool, `UPDATE alikassa_payouts SET ${older} WHERE id = $1`, [this.id, ms]);
  }

  private order(): Record<string, unknown> {
    return payload({ order_id: this.orderId, amount: AMOUNT });
  }
}
