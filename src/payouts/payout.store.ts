import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { PayoutNotFoundError, StateConflictError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { instruments } from '../instrumentation/instruments.js';
import { pausesTable, standingPauseSql, type StandingPause } from './account.pauses.js';
import { isDatabaseError, isHeldUp, isTransientDatabaseError, mapped, mappedDatabaseError } from './database.errors.js';
import { lockBound, query } from './database.statements.js';
import { tablePath } from './database.tables.js';
import type { HandlerRegistry } from './handler.registry.js';
import type { OpenOrders } from './open.orders.js';
import { PayoutChanges, type Alongside } from './payout.changes.js';
import { decide } from './payout.decision.js';
import type { Payout } from './payout.entity.js';
import type { Evidence } from './payout.evidence.js';
import {
  addJobsSql,
  addMissingJobsSql,
  jobQueueOf,
  payoutJobSql,
  SWEEP_LOCK_MS,
  type JobQueue,
  type Overdue,
} from './payout.queue.js';
import { CLOCK, PayoutRows } from './payout.rows.js';
import type { PayoutSnapshot } from './payout.snapshot.js';
import { isFinal, type PayoutStatus } from './payout.status.js';
import { RowBatches, type ResultRow } from './row.batches.js';

export interface Settled {
  payout: Payout;
  /** False where the evidence changed nothing. */
  changed: boolean;
  /** The payout as it is now, for what is settled next. */
  known: PayoutSnapshot;
}

/** What makes `settle()` cheaper. */
export interface SettleOptions {
  /** The payout as it was last read or written: what is decided on it needs no reading, and if it is stale, no harm. */
  known?: PayoutSnapshot;
  /** What is to commit with the change, and only with it. */
  alongside?: Alongside;
}

const DATABASE_RETRIES = 6;
/** What a payout is found by, as the entity names it. */
const KEYS = { id: { name: 'id', type: 'uuid' }, orderId: { name: 'order_id', type: 'text' } };
const INSTANCE = { name: 'instance', type: 'text' };

/**
 * The only one who changes an instance's payouts, their encryption aside. Every write is conditional on the revision that it
 * was decided on. Another instance's payout is none.
 */
export class PayoutStore {
  private readonly queue: JobQueue;
  private readonly rows: PayoutRows;
  private readonly batches: RowBatches;
  private readonly changes: PayoutChanges;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    handlers: HandlerRegistry,
    private readonly openOrders: OpenOrders,
  ) {
    this.queue = jobQueueOf(options);
    this.rows = new PayoutRows(dataSource);
    this.batches = new RowBatches(dataSource);
    this.changes = new PayoutChanges(dataSource, options, handlers, this.rows, this.batches);
  }

  /**
   * Takes evidence from any source and does what it decides, in one transaction: the conditional update, the event, the
   * next job. Evidence that was decided on a row that has changed meanwhile is decided anew.
   * @throws PayoutNotFoundError, StateConflictError, DatabaseUnavailableError
   */
  async settle(id: string, evidence: Evidence, { known, alongside }: SettleOptions = {}): Promise<Settled> {
    for (let given = known, failures = 0; ; given = undefined) {
      try {
        const snapshot = given ?? (await this.read(id));
        const { payout } = snapshot;
        const decision = decide(payout, evidence, this.options, snapshot.now);
        // What was given may be stale: only the row as it is now can say that nothing changes.
        if (!decision && !given) return { payout, changed: false, known: snapshot };
        const changed = decision && (await this.changes.write(snapshot, decision, alongside));
        if (changed) {
          this.openOrders.note(changed.payout);
          if (isFinal(decision.to) && !isFinal(payout.status)) countSettled(payout, decision.to);
          return { payout: changed.payout, changed: true, known: changed };
        }
      } catch (error) {
        if (given && error instanceof StateConflictError) continue;
        // A lost answer leaves it open whether the write happened; the next read shows it.
        failures += 1;
        if (!isTransientDatabaseError(error)) throw isDatabaseError(error) ? mappedDatabaseError(error) : error;
        // The sweep comes back to what another transaction holds; until then others have their turn.
        if (isHeldUp(error) && isRepeated(evidence)) throw mappedDatabaseError(error);
        if (failures > DATABASE_RETRIES) throw mappedDatabaseError(error);
        await sleep(50 * 2 ** failures);
      }
    }
  }

  /**
   * Takes a queued payout for one attempt.
   * @throws StateConflictError if it is not to be sent.
   */
  async claim(id: string, known?: PayoutSnapshot): Promise<Settled> {
    return this.settle(id, { type: 'claimed' }, { known });
  }

  /** Ids of payouts whose attempt has lost its lease, by the database's clock; without those that somebody holds. */
  async expiredLeases(limit: number): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `SELECT id FROM ${this.table} WHERE instance = $2 AND status = 'sending' AND lease_until < clock_timestamp()
       ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED`,
      [limit, this.options.instance],
    );
    return rows.map(({ id }) => id);
  }

  /** Adds the jobs of payouts that should have moved on by now and have none. @returns how many. */
  async requeueOverdue({ overdueMs, limit, runMs }: Overdue): Promise<number> {
    const { tasks } = this.queue;
    const [row] = await this.query<{ added: number }>(
      addMissingJobsSql(this.dataSource, this.queue, {
        overdue: `SELECT id, status, due_at,
            CASE status WHEN 'queued' THEN '${tasks.submit}:' ELSE '${tasks.check}:' END || id AS job_key
          FROM ${this.table} WHERE instance = $4 AND status IN ('queued', 'wait', 'unknown')`,
        job: `CASE status WHEN 'queued' THEN ${payoutJobSql(this.queue, 'submit', { id: 'id', runAt: 'now()' })}
          ELSE ${payoutJobSql(this.queue, 'check', { id: 'id', runAt: 'now()' })} END`,
      }),
      [overdueMs, limit, runMs, this.options.instance],
    );
    return row?.added ?? 0;
  }

  /** Adds the jobs of checks that are due within so many milliseconds, for when they are due. @returns how many. */
  async scheduleChecks(withinMs: number, limit: number): Promise<number> {
    const job = payoutJobSql(this.queue, 'check', { id: 'id', runAt: 'due_at' });
    const [row] = await this.query<{ added: number }>(
      `WITH ${lockBound(SWEEP_LOCK_MS)}, due AS (
         SELECT id, due_at FROM ${this.table} AS payout
         WHERE instance = $3 AND status IN ('wait', 'unknown') AND due_at < clock_timestamp() + $1 * interval '1 ms'
           AND NOT EXISTS (SELECT 1 FROM "${this.queue.schema}".jobs WHERE key = '${this.queue.tasks.check}:' || payout.id)
         ORDER BY due_at LIMIT $2
       ) SELECT ${addJobsSql(this.dataSource, this.queue, `array_agg(${job})`)} AS added FROM due, bound HAVING count(*) > 0`,
      [withinMs, limit, this.options.instance],
    );
    return row?.added ?? 0;
  }

  /** @throws PayoutNotFoundError */
  async read(id: string): Promise<PayoutSnapshot> {
    const row = await this.one(this.rows.list('payout'), 'id', id);
    if (!row) throw new PayoutNotFoundError(`There is no payout ${id}.`);
    return this.rows.snapshot(row);
  }

  /** @throws DatabaseUnavailableError */
  async findByOrder(orderId: string): Promise<PayoutSnapshot | null> {
    const row = await mapped(this.one(this.rows.list('payout'), 'orderId', orderId));
    return row ? this.rows.snapshot(row) : null;
  }

  /** The payout of an order with its encrypted columns, in the given transaction. @throws DatabaseUnavailableError */
  async findSealed(orderId: string, manager: EntityManager): Promise<Payout | null> {
    const row = await mapped(this.one(this.rows.sealedList('payout'), 'orderId', orderId, { manager }));
    return row ? this.rows.entity(row) : null;
  }

  /** All that a submission needs: the payout with its encrypted columns, and its account's pause, if any. */
  async readToSend(id: string): Promise<{ known: PayoutSnapshot; pause: StandingPause | null } | null> {
    const pause = standingPauseSql('pause');
    const row = await mapped(
      this.one(`${this.rows.sealedList('payout')}, ${pause.columns}`, 'id', id, {
        join: `LEFT JOIN ${pausesTable(this.dataSource)} AS pause ON pause.account = payout.account`,
      }),
    );
    return row ? { known: this.rows.snapshot(row), pause: pause.read(row) } : null;
  }

  /** Those that are asked for at the same time are read together. */
  private async one(
    list: string,
    key: keyof typeof KEYS,
    value: string,
    { join = '', manager }: { join?: string; manager?: EntityManager } = {},
  ): Promise<ResultRow | undefined> {
    const columns = [KEYS[key], INSTANCE];
    const sql = ` SELECT ${list}, ${CLOCK} FROM wanted
      JOIN ${this.table} AS payout USING (${KEYS[key].name}, instance) ${join}`;
    // A uuid as Postgres writes it: that is what the answer is known by.
    const asked = key === 'id' ? value.toLowerCase() : value;
    return this.batches.run({ columns, sql, key, isWrite: false }, [asked, this.options.instance], manager);
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return query(this.dataSource, sql, params);
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_payouts');
  }
}

/** Whether the worker comes to the same evidence again by itself. */
function isRepeated({ type }: Evidence): boolean {
  return type === 'claimed' || type === 'check' || type === 'paused' || type === 'lease_expired';
}

function countSettled({ account, service }: Payout, status: PayoutStatus): void {
  const attributes = { 'alikassa.account': account, 'alikassa.service': service, 'alikassa.payout.status': status };
  instruments().settled.add(1, attributes);
}
