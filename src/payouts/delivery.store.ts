import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { bindTo, lockBound, query } from './database.statements.js';
import { tablePath } from './database.tables.js';
import { EntityRows, type Row } from './entity.rows.js';
import { PayoutEvent } from './payout.entity.js';
import {
  activeTraceSql,
  addJobsSql,
  addMissingJobsSql,
  deliveryJobSql,
  jobQueueOf,
  type DeliveryJob,
  type JobQueue,
  type Overdue,
} from './payout.queue.js';

/** A call that another transaction holds is waited for so long, in milliseconds. */
const LOCK_BOUND = lockBound(3_000);

/** A delivery that was taken for one call. */
export interface TakenDelivery {
  attempt: number;
  event: PayoutEvent;
}

/** The calls of the host's handlers that an instance owes. A call is taken under a lease, as a payout is. */
export class DeliveryStore {
  private readonly queue: JobQueue;
  private readonly events: EntityRows<PayoutEvent>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'worker'>,
  ) {
    this.events = new EntityRows(dataSource, PayoutEvent);
    this.queue = jobQueueOf(options);
  }

  /** @returns null where it is done, not due yet, being called elsewhere, or held by another transaction. */
  async take({ eventId, handler }: DeliveryJob, leaseMs: number): Promise<TakenDelivery | null> {
    const [taken] = await this.query<{ attempt: number }>(
      `WITH taken AS (
         UPDATE ${this.table} SET attempt = attempt + 1, due_at = clock_timestamp() + $3 * interval '1 ms'
         WHERE (event_id, handler) IN (
           SELECT event_id, handler FROM ${this.table}
           WHERE event_id = $1 AND handler = $2 AND instance = $4 AND due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
         RETURNING attempt
       ) SELECT attempt FROM taken`,
      [eventId, handler, leaseMs, this.options.instance],
    );
    const [row] = taken
      ? await this.query<Row>(`SELECT ${this.events.list('event')} FROM ${this.history} AS event WHERE id = $1`, [
          eventId,
        ])
      : [];
    return taken && row ? { attempt: taken.attempt, event: this.events.entity(row) } : null;
  }

  /** The call goes on: nobody else takes it. */
  async renew({ eventId, handler }: DeliveryJob, attempt: number, leaseMs: number): Promise<void> {
    await this.query(
      `WITH ${LOCK_BOUND} UPDATE ${this.table} SET due_at = clock_timestamp() + $4 * interval '1 ms'
       FROM bound WHERE event_id = $1 AND handler = $2 AND attempt = $3`,
      [eventId, handler, attempt, leaseMs],
    );
  }

  /** The handler has returned. */
  async done({ eventId, handler }: DeliveryJob, attempt: number): Promise<void> {
    await this.query(
      `WITH ${LOCK_BOUND} DELETE FROM ${this.table} USING bound WHERE event_id = $1 AND handler = $2 AND attempt = $3`,
      [eventId, handler, attempt],
    );
  }

  /** The handler has failed: it is called again later, by a job written together with that. */
  async postpone({ eventId, handler }: DeliveryJob, attempt: number, afterMs: number): Promise<void> {
    await this.later('attempt = $4', [eventId, handler, afterMs, attempt]);
  }

  /** No place is free for the call: its turn comes later, unless it is being called elsewhere. */
  async putOff({ eventId, handler }: DeliveryJob, afterMs: number): Promise<void> {
    await this.later('due_at <= clock_timestamp()', [eventId, handler, afterMs]);
  }

  /** It has returned after all, whatever has become of its lease. */
  async doneLate({ eventId, handler }: DeliveryJob): Promise<void> {
    await this.query(`WITH ${LOCK_BOUND} DELETE FROM ${this.table} USING bound WHERE event_id = $1 AND handler = $2`, [
      eventId,
      handler,
    ]);
  }

  /** Owes the call to these handlers instead of the one that it was owed to. */
  async spread({ eventId, handler }: DeliveryJob, attempt: number, handlers: string[]): Promise<void> {
    const job = { eventId: 'event_id', handler: 'handler', runAt: 'due_at' };
    await this.query(
      `WITH ${LOCK_BOUND}, spread AS (
         DELETE FROM ${this.table} USING bound WHERE event_id = $1 AND handler = $2 AND attempt = $3 RETURNING event_id, instance
       ), owed AS (
         INSERT INTO ${this.table} (event_id, handler, instance)
         SELECT event_id, name, instance FROM spread, unnest($4::text[]) AS name ON CONFLICT DO NOTHING
         RETURNING event_id, handler, due_at
       ) SELECT ${addJobsSql(this.dataSource, this.queue, `array_agg(${deliveryJobSql(this.queue, job)})`)}
         FROM owed HAVING count(*) > 0`,
      [eventId, handler, attempt, handlers],
    );
  }

  /** Adds the jobs of overdue calls that have none. @returns how many. */
  async requeueOverdue({ overdueMs, limit, runMs }: Overdue): Promise<number> {
    const [row] = await this.query<{ added: number }>(
      addMissingJobsSql(this.dataSource, this.queue, {
        overdue: `SELECT event_id, handler, due_at, '${this.queue.tasks.deliver}:' || event_id || ':' || handler AS job_key
          FROM ${this.table} WHERE instance = $4`,
        job: deliveryJobSql(this.queue, { eventId: 'event_id', handler: 'handler', runAt: 'now()' }),
      }),
      [overdueMs, limit, runMs, this.options.instance],
    );
    return row?.added ?? 0;
  }

  /** @param params event, handler, milliseconds, then those of the condition. */
  private async later(condition: string, params: unknown[]): Promise<void> {
    const job = {
      eventId: 'event_id',
      handler: 'handler',
      runAt: 'due_at',
      traceparent: activeTraceSql(bindTo(params)),
    };
    await this.query(
      `WITH ${LOCK_BOUND}, postponed AS (
         UPDATE ${this.table} SET due_at = clock_timestamp() + $3 * interval '1 ms'
         FROM bound WHERE event_id = $1 AND handler = $2 AND ${condition} RETURNING event_id, handler, due_at
       ) SELECT ${addJobsSql(this.dataSource, this.queue, `ARRAY[${deliveryJobSql(this.queue, job)}]`)} FROM postponed`,
      params,
    );
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return query(this.dataSource, sql, params);
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_deliveries');
  }

  private get history(): string {
    return tablePath(this.dataSource, 'alikassa_payout_events');
  }
}

/** SQL expressions of what the calls are made of, of `wanted`. */
interface Calls {
  /** A jsonb list of names. */
  handlers: string;
  instance: string;
  traceparent: string | undefined;
}

/**
 * Calls of the host's handlers that are owed for the events in `history` (`id`, `payout_id`) of the payouts in `wanted`.
 * @returns the table expression that writes them, and what to select for their jobs.
 */
export function deliveriesSql(
  dataSource: DataSource,
  queue: JobQueue,
  { handlers, instance, traceparent }: Calls,
): { table: string; jobs: string } {
  const job = deliveryJobSql(queue, { eventId: 'event_id', handler: 'handler', runAt: 'due_at', traceparent });
  return {
    table: `, deliveries AS (
         INSERT INTO ${tablePath(dataSource, 'alikassa_deliveries')} (event_id, handler, instance)
         SELECT history.id, handler, ${instance} FROM history JOIN wanted ON wanted.id = payout_id,
           jsonb_array_elements_text(${handlers}) AS handler
         RETURNING event_id, handler, due_at
       )`,
    jobs: `, (SELECT ${addJobsSql(dataSource, queue, `array_agg(${job})`)} FROM deliveries
           JOIN history ON history.id = event_id JOIN wanted ON wanted.id = payout_id) AS delivery_jobs`,
  };
}
