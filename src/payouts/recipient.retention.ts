import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { query } from './database.statements.js';
import { tablePath } from './database.tables.js';

/** Rows of one statement, and statements of one call: no row is locked for long, and the sweep has an end. */
const BATCH = 500;
const BATCHES = 20;

/** Erases the recipients of an instance's payouts that ended long ago. What is masked or fingerprinted stays. */
export class RecipientRetention {
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'recipientRetentionDays'>,
  ) {}

  /** After a payout's end; undefined: everything is kept. */
  get days(): number | undefined {
    return this.options.recipientRetentionDays;
  }

  /**
   * Erases what is due, by the database's clock; where very much is due, the next call goes on.
   * @returns of how many payouts.
   * @throws DatabaseUnavailableError
   */
  async erase(): Promise<number> {
    let erased = 0;
    if (this.days === undefined) return erased;
    for (let batch = 0; batch < BATCHES && erased === batch * BATCH; batch++)
      erased += await this.eraseBatch(this.days);
    return erased;
  }

  /** Neither revision nor `updated_at` change: nothing that anybody is shown does. */
  private async eraseBatch(days: number): Promise<number> {
    const table = tablePath(this.dataSource, 'alikassa_payouts');
    const rows = await query(
      this.dataSource,
      `WITH erased AS (
           UPDATE ${table} SET recipient_ciphertext = NULL WHERE id IN (
             SELECT id FROM ${table}
             WHERE instance = $3 AND recipient_ciphertext IS NOT NULL AND settled_at < now() - $1 * interval '1 day'
             ORDER BY settled_at LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING id
         ) SELECT id FROM erased`,
      [days, BATCH, this.options.instance],
    );
    return rows.length;
  }
}
