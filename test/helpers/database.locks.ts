import type pg from 'pg';
import { eventually } from './until.js';

/** A backend that waits for a lock of a row or a table. */
export interface Blocked {
  pid: number;
  /** When its statement began, as Postgres writes it. */
  since: string;
}

/**
 * Waits until one of the application's statements waits for a lock; one that waits at a `Gate` is none.
 * @param after an earlier one that is not meant.
 */
export function blocked(pool: pg.Pool, statement: string, after?: Blocked): Promise<Blocked> {
  return eventually(`${statement} waits for a lock`, async () => {
    const { rows } = await pool.query<Blocked>(
      `SELECT pid, query_start::text AS since FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event <> 'advisory' AND application_name <> 'test'
         AND position($1 IN query) > 0 AND query_start > coalesce($2::timestamptz, '-infinity')`,
      [statement, after?.since ?? null],
    );
    return rows[0];
  });
}

/** Runs statements in a transaction of the test's, stays in it during the work, then rolls it back. */
export async function meanwhile<T>(pool: pg.Pool, statements: string[], work: () => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    for (const statement of statements) await client.query(statement);
    return await work();
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
