import type { DataSource } from 'typeorm';
import { mappedDatabaseError } from './database.errors.js';
import { tablePath } from './database.tables.js';
import { PayoutEvent } from './payout.entity.js';
import { addDeliveryJobSql, addMissingJobsSql, DELIVER_TASK, type DeliveryJob, type Overdue } from './payout.queue.js';

/** A delivery that was taken for one call. */
export interface TakenDelivery {
  attempt: number;
  event: PayoutEvent;
}

/** The calls of the host's handlers that are owed. A call is taken under a lease, as a payout is. */
export class DeliveryStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly schema: string,
  ) {}

  /** @returns null where it is done, not due yet, or being called elsewhere. */
  async take({ eventId, handler }: DeliveryJob, leaseMs: number): Promise<TakenDelivery | null> {
    const [taken] = await this.query<{ attempt: number }>(
      `WITH taken AS (
         UPDATE ${this.table} SET attempt = attempt + 1, due_at = clock_timestamp() + $3 * interval '1 ms'
         WHERE event_id = $1 AND handler = $2 AND due_at <= clock_timestamp() RETURNING attempt
       ) SELECT attempt FROM taken`,
      [eventId, handler, leaseMs],
    );
    const event = taken && (await this.dataSource.getRepository(PayoutEvent).findOneBy({ id: eventId }));
    return event ? { attempt: taken.attempt, event } : null;
  }

  /** The call goes on: nobody else takes it. */
  async renew({ eventId, handler }: DeliveryJob, attempt: number, leaseMs: number): Promise<void> {
    await this.query(
      `UPDATE ${this.table} SET due_at = clock_timestamp() + $4 * interval '1 ms'
       WHERE event_id = $1 AND handler = $2 AND attempt = $3`,
      [eventId, handler, attempt, leaseMs],
    );
  }

  /** The handler has returned. */
  async done({ eventId, handler }: DeliveryJob, attempt: number): Promise<void> {
    await this.query(`DELETE FROM ${this.table} WHERE event_id = $1 AND handler = $2 AND attempt = $3`, [
      eventId,
      handler,
      attempt,
    ]);
  }

  /** The handler has failed: it is called again later, by a job written together with that. */
  async postpone({ eventId, handler }: DeliveryJob, attempt: number, afterMs: number): Promise<void> {
    const params: unknown[] = [eventId, handler, attempt, afterMs];
    const job = { eventId: 'event_id', handler: 'handler', runAt: 'due_at', params };
    await this.query(
      `WITH postponed AS (
         UPDATE ${this.table} SET due_at = clock_timestamp() + $4 * interval '1 ms'
         WHERE event_id = $1 AND handler = $2 AND attempt = $3 RETURNING event_id, handler, due_at
       ) SELECT ${addDeliveryJobSql(this.schema, job)} FROM postponed`,
      params,
    );
  }

  /** Adds the jobs of overdue calls that have none. @returns how many. */
  async requeueOverdue({ overdueMs, limit, runMs }: Overdue): Promise<number> {
    const rows = await this.query(
      addMissingJobsSql({
        schema: this.schema,
        overdue: `SELECT event_id, handler, due_at, '${DELIVER_TASK}:' || event_id || ':' || handler AS job_key
          FROM ${this.table}`,
        addJob: addDeliveryJobSql(this.schema, { eventId: 'event_id', handler: 'handler', runAt: 'now()' }),
      }),
      [overdueMs, limit, runMs],
    );
    return rows.length;
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    try {
      return await this.dataSource.query<T[]>(sql, params);
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_deliveries');
  }
}
