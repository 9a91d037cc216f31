import type { DataSource } from 'typeorm';
import type { PauseChange, PauseReason } from './account.pause.js';
import { bindTo, lockBound, query, type Bind } from './database.statements.js';
import { tablePath } from './database.tables.js';

/** A pause doubles up to so many times its first length. */
const MAX_FACTOR = 16;
/** How long a statement waits for a pause that another transaction holds. */
const LOCK_MS = 3_000;

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
    const { columns, read } = standingPauseSql('pause');
    const [row] = await this.query<Record<string, unknown>>(
      `SELECT ${columns} FROM ${pausesTable(this.dataSource)} AS pause WHERE account = $1`,
      [account],
    );
    return row ? read(row) : null;
  }

  /**
   * Takes the right to try after a pause; one caller gets it, and the others wait on.
   * @param forMs how long they do at most.
   */
  async takeProbe(account: string, forMs: number): Promise<boolean> {
    const rows = await this.query(
      `WITH ${lockBound(LOCK_MS)}, taken AS (
         UPDATE ${pausesTable(this.dataSource)}
         SET is_probing = true, paused_until = clock_timestamp() + $2 * interval '1 ms'
         FROM bound WHERE account = $1 AND paused_until <= clock_timestamp() RETURNING account
       ) SELECT account FROM taken`,
      [account, forMs],
    );
    return rows.length > 0;
  }

  /** Begins a pause, or lengthens it. */
  async apply(account: string, change: PauseChange): Promise<void> {
    const params: unknown[] = [];
    const bind = bindTo(params);
    const changed = `(SELECT ${bind(account, 'uuid')} AS account FROM bound) AS changed`;
    const sql = pauseSql(pausesTable(this.dataSource), change, changed, bind);
    await this.query(`WITH ${lockBound(LOCK_MS)} ${sql}`, params);
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return query(this.dataSource, sql, params);
  }
}

export function pausesTable(dataSource: DataSource): string {
  return tablePath(dataSource, 'alikassa_account_pauses');
}

/**
 * What to select of a pause, alone or beside what it holds up, and how to read it.
 * @param alias of the pauses' table.
 */
export function standingPauseSql(alias: string): {
  columns: string;
  read: (row: Readonly<Record<string, unknown>>) => StandingPause | null;
} {
  return {
    columns: `${alias}.reason AS pause_reason,
      ceil(extract(epoch FROM ${alias}.paused_until - clock_timestamp()) * 1000)::float8 AS pause_ms`,
    read: ({ pause_reason: reason, pause_ms: remainingMs }) =>
      reason === null ? null : { reason: reason as PauseReason, remainingMs: remainingMs as number },
  };
}

/**
 * The statement that makes a change, to stand alone or within the one that writes the payout.
 * @param changed SQL to select from: `changed.account` is the account.
 */
export function pauseSql(table: string, change: PauseChange, changed: string, bind: Bind): string {
  if (change.to === 'lifted') {
    return `DELETE FROM ${table} AS pause USING ${changed}
      WHERE pause.account = changed.account AND pause.since < ${bind(change.claimedAt, 'timestamptz')}`;
  }
  const factor = change.isExact ? '1' : `least(${MAX_FACTOR}, 2 ^ (pause.failures - 1 + pause.is_probing::int))`;
  const reason = bind(change.reason, 'text');
  const pausedUntil = `now.at + ${bind(change.forMs, 'float8')} * interval '1 ms'`;
  return `INSERT INTO ${table} AS pause (account, reason, since, paused_until)
     SELECT changed.account, ${reason}, now.at, ${pausedUntil} FROM ${changed}, (SELECT clock_timestamp() AS at) AS now
     ON CONFLICT (account) DO UPDATE SET
       reason = excluded.reason,
       since = excluded.since,
       failures = pause.failures + pause.is_probing::int,
       is_probing = false,
       paused_until = greatest(
         CASE WHEN NOT pause.is_probing THEN pause.paused_until END,
         excluded.since + (excluded.paused_until - excluded.since) * ${factor})`;
}
