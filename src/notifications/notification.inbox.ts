import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { bindTo, lockBound, query, type Bind } from '../payouts/database.statements.js';
import { tablePath } from '../payouts/database.tables.js';
import type { NotificationFields } from '../provider/provider.types.js';
import { ParallelLimit } from './parallel.limit.js';

/** What became of a notification. */
export type NotificationResult = 'settled' | 'hinted' | 'unchanged' | 'unmatched' | 'ignored';

/** Of the database's connections: those who replay what changes nothing leave the others to the payouts. */
const AT_ONCE = 3;
/** How long one waits for a row that another transaction holds. */
const LOCK_MS = 3_000;

/** Keeps every distinct notification of an instance once; a redelivery only counts. */
export class NotificationInbox {
  private readonly limit = new ParallelLimit(AT_ONCE, Infinity);

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance'>,
  ) {}

  /** The signed content identifies a notification: the provider gives no event id (PROVIDER.md, "Notifications"). */
  digestOf(fields: NotificationFields): Buffer {
    return digestOf(fields);
  }

  /** @throws DatabaseUnavailableError */
  async record(fields: NotificationFields, result: NotificationResult): Promise<void> {
    const params: unknown[] = [];
    const sql = this.recordSql(fields, result, bindTo(params), 'bound');
    await this.query(`WITH ${lockBound(LOCK_MS)} ${sql}`, params);
  }

  /**
   * The statement that records it, to stand within another one.
   * @param source SQL to select from: it is recorded if that has a row.
   */
  recordSql(fields: NotificationFields, result: NotificationResult, bind: Bind, source: string): string {
    const { type, order_id, id, payment_status, account } = fields;
    const values = [digestOf(fields), type, order_id, id, payment_status, account, result, this.options.instance];
    const types = ['bytea', 'text', 'text', 'bigint', 'text', 'text', 'text', 'text'];
    const list = values.map((value, index) => bind(value, types[index]!));
    return `INSERT INTO ${tablePath(this.dataSource, 'alikassa_notifications')} AS inbox
        (digest, type, order_id, provider_id, payment_status, account, result, instance)
      SELECT ${list.join(', ')} FROM ${source}
      ON CONFLICT (instance, digest) DO UPDATE SET
        received_count = inbox.received_count + 1,
        last_received_at = clock_timestamp(),
        result = CASE excluded.result WHEN 'unchanged' THEN inbox.result ELSE excluded.result END`;
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return this.limit.run(() => query(this.dataSource, sql, params));
  }
}

function digestOf(fields: NotificationFields): Buffer {
  const { type, id, order_id, payment_status, amount, payment_amount, commission_amount, is_partial_payment } = fields;
  const { account, service, desc } = fields;
  const content = [type, id, order_id, payment_status, amount, payment_amount, commission_amount, is_partial_payment];
  return createHash('sha256')
    .update(JSON.stringify([...content, account, service, desc]))
    .digest();
}
