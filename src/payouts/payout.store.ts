import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { PayoutNotFoundError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { instruments } from '../instrumentation/instruments.js';
import { pausesTable, pauseSql } from './account.pauses.js';
import { isDatabaseError, isTransientDatabaseError, mappedDatabaseError } from './database.errors.js';
import { tablePath } from './database.tables.js';
import type { HandlerRegistry } from './handler.registry.js';
import { decide, type Decision } from './payout.decision.js';
import { Payout } from './payout.entity.js';
import type { Evidence } from './payout.evidence.js';
import {
  addDeliveryJobSql,
  addMissingJobsSql,
  addPayoutJobSql,
  CHECK_TASK,
  SUBMIT_TASK,
  type Overdue,
} from './payout.queue.js';
import { isFinal, mayFollow, type PayoutStatus } from './payout.status.js';

/** A new row: what `create` knows. */
export type NewPayout = Pick<
  Payout,
  | 'id'
  | 'orderId'
  | 'account'
  | 'currency'
  | 'amount'
  | 'service'
  | 'numberMasked'
  | 'keyId'
  | 'recipientCiphertext'
  | 'numberFingerprint'
  | 'contentFingerprint'
>;

export interface Settled {
  payout: Payout;
  /** False where the evidence changed nothing. */
  changed: boolean;
}

const SECRET_COLUMNS = ['keyId', 'recipientCiphertext', 'numberFingerprint', 'contentFingerprint'] as const;
const DATABASE_RETRIES = 6;
const NO_DELIVERIES = { table: '', jobs: '' };

/** The only writer of payouts, their encryption aside. Every write is one statement, conditional on the revision it was decided on. */
export class PayoutStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    private readonly handlers: HandlerRegistry,
  ) {}

  /**
   * Inserts a payout, its first event and its job in one statement of the given transaction.
   * @returns false where the order_id is taken; nothing was written then.
   */
  async insert(row: NewPayout, actor: string | undefined, manager: EntityManager): Promise<boolean> {
    const params: unknown[] = [
      row.id,
      row.orderId,
      row.account,
      row.currency,
      row.amount,
      row.service,
      row.numberMasked,
      row.keyId,
      row.recipientCiphertext,
      row.numberFingerprint,
      row.contentFingerprint,
      actor ?? null,
    ];
    const deliveries = this.deliveriesSql('queued', params);
    const job = addPayoutJobSql(this.options.worker.schema, 'submit', { id: 'new_payout.id', runAt: 'now()', params });
    const rows = await this.query(
      manager,
      `WITH new_payout AS (
         INSERT INTO ${this.table} (id, order_id, account, currency, amount, service, number_masked, status, due_at,
           key_id, recipient_ciphertext, number_fingerprint, content_fingerprint)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', now(), $8, $9, $10, $11)
         ON CONFLICT (order_id) DO NOTHING
         RETURNING id
       ), history AS (
         INSERT INTO ${this.eventsTable} (payout_id, type, to_status, attempt, actor)
         SELECT id, 'created', 'queued', 0, $12 FROM new_payout RETURNING id
       )${deliveries.table}
       SELECT id, ${job} AS job${deliveries.jobs} FROM new_payout`,
      params,
    );
    return rows.length > 0;
  }

  /**
   * Takes evidence from any source and does what it decides, in one transaction: the conditional update, the event, the
   * next job. Evidence that was decided on a row that has changed meanwhile is decided anew.
   * @throws PayoutNotFoundError, StateConflictError, DatabaseUnavailableError
   */
  async settle(id: string, evidence: Evidence): Promise<Settled> {
    for (let failures = 0; ;) {
      try {
        const { payout, now } = await this.read(id);
        const decision = decide(payout, evidence, this.options, now);
        if (!decision) return { payout, changed: false };
        if (await this.apply(payout, decision, now)) {
          if (isFinal(decision.to) && !isFinal(payout.status)) countSettled(payout, decision.to);
          return { payout: (await this.read(id)).payout, changed: true };
        }
      } catch (error) {
        // A lost answer leaves it open whether the write happened; the next read shows it.
        failures += 1;
        if (!isTransientDatabaseError(error)) throw isDatabaseError(error) ? mappedDatabaseError(error) : error;
        if (failures > DATABASE_RETRIES) throw mappedDatabaseError(error);
        await sleep(50 * 2 ** failures);
      }
    }
  }

  /** Takes a queued payout for one attempt. @throws StateConflictError if it is not to be sent. */
  async claim(id: string): Promise<Settled> {
    return this.settle(id, { type: 'claimed' });
  }

  /** Ids of payouts whose attempt has lost its lease, by the database's clock. */
  async expiredLeases(limit: number): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      this.dataSource.manager,
      `SELECT id FROM ${this.table} WHERE status = 'sending' AND lease_until < clock_timestamp()
       ORDER BY due_at LIMIT $1`,
      [limit],
    );
    return rows.map(({ id }) => id);
  }

  /** Adds the jobs of payouts that should have moved on by now and have none. @returns how many. */
  async requeueOverdue({ overdueMs, limit, runMs }: Overdue): Promise<number> {
    const { schema } = this.options.worker;
    const rows = await this.query(
      this.dataSource.manager,
      addMissingJobsSql({
        schema,
        overdue: `SELECT id, status, due_at,
            CASE status WHEN 'queued' THEN '${SUBMIT_TASK}:' ELSE '${CHECK_TASK}:' END || id AS job_key
          FROM ${this.table} WHERE status IN ('queued', 'wait', 'unknown')`,
        addJob: `CASE status WHEN 'queued' THEN ${addPayoutJobSql(schema, 'submit', { id: 'id', runAt: 'now()' })}
          ELSE ${addPayoutJobSql(schema, 'check', { id: 'id', runAt: 'now()' })} END`,
      }),
      [overdueMs, limit, runMs],
    );
    return rows.length;
  }

  /** The payout and the database's clock. @throws PayoutNotFoundError */
  async read(id: string): Promise<{ payout: Payout; now: Date }> {
    const { entities, raw } = await this.dataSource
      .createQueryBuilder(Payout, 'payout')
      .addSelect('clock_timestamp()', 'db_now')
      .where('payout.id = :id', { id })
      .getRawAndEntities<{ db_now: Date }>();
    const [payout] = entities;
    const [first] = raw;
    if (!payout || !first) throw new PayoutNotFoundError(`There is no payout ${id}.`);
    return { payout, now: first.db_now };
  }

  /** @throws DatabaseUnavailableError */
  async findByOrder(orderId: string): Promise<Payout | null> {
    try {
      return await this.dataSource.getRepository(Payout).findOneBy({ orderId });
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }

  /** The payout with its encrypted columns. @throws DatabaseUnavailableError */
  async readSealed(where: { id: string } | { orderId: string }, manager?: EntityManager): Promise<Payout | null> {
    const query = (manager ?? this.dataSource.manager).createQueryBuilder(Payout, 'payout').where(where);
    for (const column of SECRET_COLUMNS) query.addSelect(`payout.${column}`);
    return query.getOne().catch((error: unknown) => {
      throw mappedDatabaseError(error);
    });
  }

  /** @returns false where the row has changed since it was read. */
  private async apply(payout: Payout, decision: Decision, now: Date): Promise<boolean> {
    const { to, set, next, event } = decision;
    if (to !== payout.status && !mayFollow(payout.status, to)) {
      throw new TypeError(`No transition leads from ${payout.status} to ${to}; decide() has a fault.`);
    }
    const columns: Partial<Payout> = { ...set, status: to };
    if (to !== 'sending') columns.leaseUntil = null;
    if (isFinal(to) && !isFinal(payout.status)) columns.settledAt = now;
    const params: unknown[] = [payout.id, payout.revision];
    const assignments = Object.entries(columns).map(([property, value]) => {
      params.push(value);
      return `${this.columnOf(property)} = $${params.length}`;
    });
    if (next === null) {
      // A claimed payout is due when its lease ends: the sweep then finds it by the same index.
      params.push(set.leaseUntil ?? null);
      assignments.push(`due_at = $${params.length}`);
    } else if (next !== 'keep') {
      params.push(new Date(now.getTime() + next.afterMs));
      assignments.push(`due_at = $${params.length}`);
    }
    const history = event ? this.historySql(payout, decision, params) : '';
    const pauses = decision.pause
      ? `, pauses AS (${pauseSql(pausesTable(this.dataSource), decision.pause, 'SELECT account FROM changed', params)})`
      : '';
    const deliveries = to !== payout.status && event ? this.deliveriesSql(to, params) : NO_DELIVERIES;
    const job =
      next && next !== 'keep'
        ? `, ${addPayoutJobSql(this.options.worker.schema, next.task, { id: 'changed.id', runAt: 'changed.due_at', params })} AS job`
        : '';
    // The result must be durable before anything is done about it, whatever the role's default is.
    const rows: unknown[] = await this.dataSource.query(
      `WITH changed AS (
         UPDATE ${this.table} SET ${assignments.join(', ')}, revision = revision + 1, updated_at = clock_timestamp()
         WHERE id = $1 AND revision = $2
         RETURNING id, account, due_at, status, attempt
       )${history}${pauses}${deliveries.table}
       SELECT id, set_config('synchronous_commit', 'on', true) AS durable${job}${deliveries.jobs} FROM changed`,
      params,
    );
    return rows.length > 0;
  }

  private historySql(payout: Payout, { event }: Decision, params: unknown[]): string {
    params.push(event?.type, payout.status, event?.actor ?? null, JSON.stringify(event?.detail ?? {}));
    const [type, from, actor, detail] = [3, 2, 1, 0].map((back) => `$${params.length - back}`);
    return `, history AS (
         INSERT INTO ${this.eventsTable} (payout_id, type, from_status, to_status, attempt, actor, detail)
         SELECT id, ${type}, ${from}, status, attempt, ${actor}, ${detail}::jsonb FROM changed
         RETURNING id
       )`;
  }

  /** Calls of the host's handlers that the event in `history` owes, and their jobs; nothing where there is no handler. */
  private deliveriesSql(to: PayoutStatus, params: unknown[]): { table: string; jobs: string } {
    const names = this.handlers.namesFor(to);
    if (names.length === 0) return NO_DELIVERIES;
    params.push(names);
    const handlers = `$${params.length}::text[]`;
    const job = addDeliveryJobSql(this.options.worker.schema, {
      eventId: 'event_id',
      handler: 'handler',
      runAt: 'due_at',
      params,
    });
    return {
      table: `, deliveries AS (
         INSERT INTO ${this.deliveriesTable} (event_id, handler)
         SELECT history.id, handler FROM history, unnest(${handlers}) AS handler
         RETURNING event_id, handler, due_at
       )`,
      jobs: `, (SELECT count(${job}) FROM deliveries) AS delivery_jobs`,
    };
  }

  private async query<T>(manager: EntityManager, sql: string, params: unknown[]): Promise<T[]> {
    try {
      return await manager.query<T[]>(sql, params);
    } catch (error) {
      throw mappedDatabaseError(error);
    }
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_payouts');
  }

  private get eventsTable(): string {
    return tablePath(this.dataSource, 'alikassa_payout_events');
  }

  private get deliveriesTable(): string {
    return tablePath(this.dataSource, 'alikassa_deliveries');
  }

  private columnOf(property: string): string {
    const column = this.dataSource.getMetadata(Payout).findColumnWithPropertyName(property);
    if (!column) throw new TypeError(`Payout has no column for ${property}`);
    return `"${column.databaseName}"`;
  }
}

function countSettled({ account, service }: Payout, status: PayoutStatus): void {
  const attributes = { 'alikassa.account': account, 'alikassa.service': service, 'alikassa.payout.status': status };
  instruments().settled.add(1, attributes);
}
