import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { mappedDatabaseError } from '../payouts/database.errors.js';
import { tablePath } from '../payouts/database.tables.js';
import type { NotificationFields } from '../provider/provider.types.js';

/** What became of a notification. */
export type NotificationResult = 'settled' | 'hinted' | 'unchanged' | 'unmatched' | 'ignored';

/** Keeps every distinct notification once; a redelivery only counts. */
export class NotificationInbox {
  constructor(private readonly dataSource: DataSource) {}

  /** What has become of it; undefined where it never came. @throws DatabaseUnavailableError */
  async resultOf(fields: NotificationFields): Promise<string | undefined> {
    const table = tablePath(this.dataSource, 'alikassa_notifications');
    try {
      const rows: { result: string }[] = await this.dataSource.query(`SELECT result FROM ${table} WHERE digest = $1`, [
        digestOf(fields),
      ]);
      return rows[0]?.result;
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }

  /** @throws DatabaseUnavailableError */
  async record(fields: NotificationFields, result: NotificationResult): Promise<void> {
    const table = tablePath(this.dataSource, 'alikassa_notifications');
    try {
      await this.dataSource.query(
        `INSERT INTO ${table} AS inbox (digest, type, order_id, provider_id, payment_status, account, result)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (digest) DO UPDATE SET
           received_count = inbox.received_count + 1,
           last_received_at = clock_timestamp(),
           result = CASE excluded.result WHEN 'unchanged' THEN inbox.result ELSE excluded.result END`,
        [digestOf(fields), fields.type, fields.order_id, fields.id, fields.payment_status, fields.account, result],
      );
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }
}

/** The signed content identifies a notification: the provider gives no event id (PROVIDER.md, "Notifications"). */
function digestOf(fields: NotificationFields): Buffer {
  const { type, id, order_id, payment_status, amount, payment_amount, commission_amount, is_partial_payment } = fields;
  const { account, service, desc } = fields;
  const content = [type, id, order_id, payment_status, amount, payment_amount, commission_amount, is_partial_payment];
  return createHash('sha256')
    .update(JSON.stringify([...content, account, service, desc]))
    .digest();
}
