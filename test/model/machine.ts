import { StaleRevisionError, StateConflictError } from '../../src/alikassa.errors.js';
import { decide, type DecisionPolicy } from '../../src/payouts/payout.decision.js';
import { Payout } from '../../src/payouts/payout.entity.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import { isFinal, mayFollow } from '../../src/payouts/payout.status.js';
import type { EventLine } from './invariants.js';
import { AMOUNT, ORDER } from './model.provider.js';

/** One payout, as the commands move it: in memory, or in a real database. */
export interface Machine {
  readonly policy: DecisionPolicy;
  /** Milliseconds, by the clock that leases are held by. */
  now(): Promise<number>;
  read(): Promise<Payout>;
  events(): Promise<EventLine[]>;
  /** @returns false where the evidence is refused. */
  settle(evidence: Evidence): Promise<boolean>;
  /** Two pieces of evidence at once. */
  race(one: Evidence, other: Evidence): Promise<void>;
  /** The client asks again for what it has asked for. */
  repeat(): Promise<void>;
  advance(ms: number): Promise<void>;
}

export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';

/** The pure decisions on a row in memory, written as the store writes them: only so can thousands of runs be made. */
export class MemoryMachine implements Machine {
  private clock = Date.parse('2026-01-01T00:00:00Z');
  private row: Payout;
  private readonly made = new Set<string>();
  private readonly lines: EventLine[] = [
    { type: 'created', fromStatus: null, toStatus: 'queued', attempt: 0, detail: {} },
  ];

  constructor(readonly policy: DecisionPolicy) {
    const now = new Date(this.clock);
    this.row = Object.assign(new Payout(), {
      id: '0b0f3a52-9b57-4b3c-8f3e-2f7f6c1f0001',
      orderId: ORDER,
      account: ACCOUNT,
      amount: AMOUNT,
      status: 'queued',
      attempt: 0,
      attemptToken: null,
      service: 'qiwi_rub',
      numberMasked: '*******4455',
      revision: 0,
      leaseUntil: null,
      possiblySent: false,
      providerId: null,
      paymentAmount: null,
      commissionAmount: null,
      isPartialPayment: null,
      attention: [],
      heard: [],
      epoch: null,
      doubtedAt: null,
      endedBy: null,
      refusedAt: null,
      unsentCount: 0,
      unsentTotal: 0,
      notFoundCount: 0,
      notFoundSince: null,
      checkCount: 0,
      dueAt: now,
      createdAt: now,
      settledAt: null,
    });
  }

  async now(): Promise<number> {
    return this.clock;
  }

  async read(): Promise<Payout> {
    return Object.assign(new Payout(), this.row);
  }

  async events(): Promise<EventLine[]> {
    return [...this.lines];
  }

  async settle(evidence: Evidence): Promise<boolean> {
    const now = new Date(this.clock);
    try {
      const decision = decide(this.row, evidence, this.policy, now);
      if (!decision) return true;
      const { to, set, next, event } = decision;
      const from = this.row.status;
      if (to !== from && !mayFollow(from, to)) throw new TypeError(`No transition leads from ${from} to ${to}.`);
      const row = Object.assign(new Payout(), this.row, set, {
        status: to,
        revision: this.row.revision + (event ? 1 : 0),
      });
      if (to !== 'sending') row.leaseUntil = null;
      if (isFinal(to) && !isFinal(from)) row.settledAt = now;
      if (next === null) row.dueAt = set.leaseUntil ?? null;
      else if (next !== 'keep') row.dueAt = new Date(this.clock + next.afterMs);
      if (event) {
        this.lines.push({
          type: event.type,
          fromStatus: from,
          toStatus: to,
          attempt: row.attempt,
          detail: event.detail,
        });
      }
      if (event?.decision) this.made.add(event.decision);
      this.row = row;
      return true;
    } catch (error) {
      const isMade = 'decision' in evidence && this.made.has(evidence.decision);
      if (error instanceof StaleRevisionError) return isMade;
      if (error instanceof StateConflictError) return false;
      throw error;
    }
  }

  /** One after the other: which is first is what the database decides. */
  async race(one: Evidence, other: Evidence): Promise<void> {
    await this.settle(one);
    await this.settle(other);
  }

  async repeat(): Promise<void> {}

  async advance(ms: number): Promise<void> {
    this.clock += ms;
  }
}
