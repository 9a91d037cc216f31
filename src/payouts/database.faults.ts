import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { CalmLog } from '../instrumentation/calm.log.js';
import { instruments } from '../instrumentation/instruments.js';
import { isLastingFault, isProviderIdTaken, mendOf, stateOf } from './database.errors.js';
import { remembered } from './remembered.js';

/** A refusal is told of for so long after it was last seen: where nobody asks again, it may be gone. */
const TOLD_MS = 60_000;

interface Refusal {
  state: string;
  at: number;
}

const known = new WeakMap<DataSource, DatabaseFaults>();

/** The faults of a DataSource's database. */
export function faultsOf(dataSource: DataSource): DatabaseFaults {
  return remembered(known, dataSource, () => new DatabaseFaults());
}

/**
 * Counts what the database says against the module's statements. What does not pass by itself is logged, at a bounded rate,
 * and stands until the same statement has worked.
 */
export class DatabaseFaults {
  private readonly calm = new CalmLog((line) => new Logger('AliKassaDatabase').error(line));
  private readonly refusals = new Map<string, Refusal>();

  /** @param statement its text, or another name of it. */
  failed(statement: string, error: unknown): void {
    if (isProviderIdTaken(error)) return;
    const state = stateOf(error);
    instruments().databaseFaults.add(1, { 'alikassa.database.state': state });
    if (!isLastingFault(error)) return;
    // What one row is refused for says nothing of the others.
    if (!state.startsWith('22')) this.refusals.set(statement, { state, at: performance.now() });
    this.calm.say(state, `The database refuses a statement (${state}): ${mendOf(state)}.`);
  }

  worked(statement: string): void {
    if (this.refusals.size > 0) this.refusals.delete(statement);
  }

  /** SQLSTATEs of what the database refuses, and has refused within the last minute. */
  get refused(): string[] {
    const since = performance.now() - TOLD_MS;
    for (const [statement, { at }] of this.refusals) if (at < since) this.refusals.delete(statement);
    return [...new Set([...this.refusals.values()].map(({ state }) => state))].toSorted();
  }
}
