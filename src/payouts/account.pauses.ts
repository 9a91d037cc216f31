import type { DataSource } from 'typeorm';
import type { PauseChange, PauseReason } from './account.pause.js';
import { mappedDatabaseError } from './database.errors.js';
import { tablePath } from './database.tables.js';

/** A pause doubles up to so many times its first length. */
const MAX_FACTOR = 16;

/** A pause as it stands, by the database's clock. */
export interface StandingPause {
  reason: PauseReason;
  /** Milliseconds until one payout may try; 0 or less: now. */
  remainingMs: number;
}

/**
 * Which accounts send nothing for now: in the database, so that every process keeps to it.
 */
export class AccountPauses {
  constructor(private readonly dataSource: DataSource) {}

  /** @throws DatabaseUnavailableError */
  async current(account: string): Promise<StandingPause | null> {
    const [pause] = await this.query<{ reason: PauseReason; remaining_ms: number }>(
      `SELECT reason, ceil(extract(epoch FROM paused_until - clock_timestamp()) * 1000)::int AS remaining_ms
       FROM ${pausesTable(this.dataSource)} WHERE account = $1`,
      [account],
    );
    return pause ? { reason: pause.reason, remainingMs: pause.remaining_ms } : null;
  }

  /**
   * Takes the right to try after a pause; one caller gets it, and the others wait on.
   * @param forMs how long they do at most.
   */
  async takeProbe(account: string, forMs: number): Promise<boolean> {
    const rows = await this.query(
      `WITH taken AS (
         UPDATE ${pausesTable(this.dataSource)}
         SET is_probing = true, paused_until = clock_timestamp() + $2 * interval '1 ms'
         WHERE account = $1 AND paused_until <= clock_timestamp() RETURNING account
       ) SELECT account FROM taken`,
      [account, forMs],
    );
    return rows.length > 0;
  }

  /** Begins a pause, or lengthens it. */
  async apply(account: string, change: PauseChange): Promise<void> {
    const params: unknown[] = [account];
    await this.query(pauseSql(pausesTable(this.dataSource), change, 'SELECT $1::uuid AS account', params), params);
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    try {
      return await this.dataSource.query<T[]>(sql, params);
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }
}

export function pausesTable(dataSource: DataSource): string {
  return tablePath(dataSource, 'alikassa_account_pauses');
}

/**
 * The statement that makes a change, to stand alone or within the one that writes the payout.
 * @param accounts SQL that selects `account`.
 * @param params get the change's values added.
 */
export function pauseSql(table: string, change: PauseChange, accounts: string, params: unknown[]): string {
  if (change.to === 'lifted') {
    params.push(change.claimedAt);
    return `DELETE FROM ${table} WHERE account IN (${accounts}) AND since < $${params.length}`;
  }
  const factor = change.isExact ? '1' : `least(${MAX_FACTOR}, 2 ^ (pause.failures - 1 + pause.is_probing::int))`;
  params.push(change.reason, change.forMs);
  const [reason, ms] = [`$${params.length - 1}`, `$${params.length} * interval '1 ms'`];
  return `INSERT INTO ${table} AS pause (account, reason, since, paused_until)
     SELECT account, ${reason}, clock_timestamp(), clock_timestamp() + ${ms} FROM (${accounts}) AS one
     ON CONFLICT (account) DO UPDATE SET
       reason = excluded.reason,
       since = excluded.since,
       failures = pause.failures + pause.is_probing::int,
       is_probing = false,
       paused_until = greatest(
         CASE WHEN NOT pause.is_probing THEN pause.paused_until END, clock_timestamp() + ${ms} * ${factor})`;
}
