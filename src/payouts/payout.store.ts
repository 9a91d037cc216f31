import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { PayoutNotFoundError, StaleRevisionError, StateConflictError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { instruments } from '../instrumentation/instruments.js';
import { pausesTable, standingPauseSql, type StandingPause } from './account.pauses.js';
import { DatabaseEpochs, type StandingEpoch } from './database.epochs.js';
import {
  isDatabaseError,
  isHeldUp,
  isProviderIdTaken,
  isTransientDatabaseError,
  mapped,
  mappedDatabaseError,
} from './database.errors.js';
import { bindTo, lockBound, query } from './database.statements.js';
import { tablePath } from './database.tables.js';
import { isLostAttempt, reliesOnOwnRecords } from './decision/restored.js';
import { EntityRows } from './entity.rows.js';
import type { HandlerRegistry } from './handler.registry.js';
import type { OpenOrders } from './open.orders.js';
import { PayoutChanges, type Alongside } from './payout.changes.js';
import { decide } from './payout.decision.js';
import { PayoutEvent, type Payout } from './payout.entity.js';
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

/** What a page is limited to; null is no limit. */
export interface PayoutFilter {
  orderId?: string | null | undefined;
  status?: PayoutStatus | null | undefined;
  /** The last one's `seq` of the page before. */
  before?: string | undefined;
  /** Fingerprints of the recipient's number, one for each key. */
  numbers?: Buffer[] | undefined;
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
  private readonly history: EntityRows<PayoutEvent>;
  private readonly batches: RowBatches;
  private readonly changes: PayoutChanges;
  private readonly epochs: DatabaseEpochs;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    handlers: HandlerRegistry,
    private readonly openOrders: OpenOrders,
  ) {
    this.queue = jobQueueOf(options);
    this.rows = new PayoutRows(dataSource);
    this.history = new EntityRows(dataSource, PayoutEvent);
    this.batches = new RowBatches(dataSource);
    this.changes = new PayoutChanges(dataSource, options, handlers, this.rows, this.batches);
    this.epochs = new DatabaseEpochs(dataSource, options);
  }

  /**
   * Takes evidence from any source and does what it decides, in one transaction: the conditional update, the event, the
   * next job. Evidence that was decided on a row that has changed meanwhile is decided anew.
   * A person's decision that was made already is found done.
   * @throws PayoutNotFoundError, StateConflictError, StaleRevisionError, DatabaseUnavailableError
   */
  async settle(id: string, evidence: Evidence, { known, alongside }: SettleOptions = {}): Promise<Settled> {
    let taken = evidence;
    let isNoted = false;
    for (let given = known, failures = 0; ; given = undefined) {
      try {
        const snapshot = given ?? (await this.read(id));
        const { payout } = snapshot;
        if (!given && taken.type === 'submission' && !isNoted && isLostAttempt(payout, taken)) {
          const noted = await this.noteLostAttempt(id, taken, known);
          isNoted = true;
          // What it says is not taken for what another attempt has come to; that it was accepted is heard.
          if (taken.outcome.kind !== 'ok') return noted;
          continue;
        }
        const decision = decide(payout, taken, this.options, snapshot.now);
        // What was given may be stale: only the row as it is now can say that nothing changes.
        if (!decision && !given) return { payout, changed: false, known: snapshot };
        const changed = decision && (await this.changes.write(snapshot, decision, alongside));
        if (changed) {
          this.openOrders.note(changed.payout);
          if (isFinal(decision.to) && !isFinal(payout.status)) countSettled(payout, decision.to);
          return { payout: changed.payout, changed: true, known: changed };
        }
        if (decision && reliesOnOwnRecords(payout, decision)) await this.doubt(id);
      } catch (error) {
        const isRefused = error instanceof StateConflictError || error instanceof StaleRevisionError;
        if (given && isRefused) continue;
        if (isRefused && 'decision' in evidence && (await this.isMade(id, evidence.decision)))
          return this.unchanged(id);
        if (isProviderIdTaken(error) && isWord(taken)) {
          taken = { ...taken, isForeignId: true };
          continue;
        }
        if (error instanceof PayoutNotFoundError && evidence.type === 'submission') await this.noteLost(known);
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
   * Whether the decision was made before: by a call whose answer was lost, or by the same call.
   * @throws DatabaseUnavailableError
   */
  async isMade(id: string, decision: string): Promise<boolean> {
    const sql = `SELECT FROM ${tablePath(this.dataSource, 'alikassa_payout_events')} WHERE payout_id = $1 AND decision = $2`;
    return (await this.query(sql, [id, decision])).length > 0;
  }

  private async unchanged(id: string): Promise<Settled> {
    const known = await this.read(id);
    return { payout: known.payout, changed: false, known };
  }

  /**
   * Takes a queued payout for one attempt.
   * @param token random: the attempt's own.
   * @throws StateConflictError if it is not to be sent.
   */
  async claim(id: string, token: string, known?: PayoutSnapshot): Promise<Settled> {
    return this.settle(id, { type: 'claimed', token }, { known });
  }

  /** Has the provider asked about a payout, if the database went back since it was. */
  private async doubt(id: string): Promise<void> {
    const epoch = await this.epochs.recognise();
    if (!(await this.epochs.doubts(epoch, id))) return;
    const [afterMs = 0] = await this.epochs.turns(epoch, 1);
    await this.settle(id, { type: 'restored', epoch: epoch.id, afterMs });
  }

  /** Has the provider asked about a payout because of an attempt that the database does not know. */
  private async noteLostAttempt(
    id: string,
    { outcome }: Extract<Evidence, { type: 'submission' }>,
    known: PayoutSnapshot | undefined,
  ): Promise<Settled> {
    const epoch = await this.noteLost(known);
    const [afterMs = 0] = await this.epochs.turns(epoch, 1);
    return this.settle(id, { type: 'restored', epoch: epoch.id, afterMs, isSent: outcome.kind !== 'never_sent' });
  }

  private async noteLost(known: PayoutSnapshot | undefined): Promise<StandingEpoch> {
    const leaseUntil = known?.payout.leaseUntil?.getTime();
    return this.epochs.noteLostAttempt(leaseUntil ? new Date(leaseUntil - this.options.leaseMs) : null);
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

  /** Adds the jobs of payouts that should have moved on by now, or been asked about, and have none. @returns how many. */
  async requeueOverdue({ overdueMs, limit, runMs }: Overdue): Promise<number> {
    const { tasks } = this.queue;
    const [row] = await this.query<{ added: number }>(
      addMissingJobsSql(this.dataSource, this.queue, {
        overdue: `SELECT id, status, due_at,
            CASE status WHEN 'queued' THEN '${tasks.submit}:' ELSE '${tasks.check}:' END || id AS job_key
          FROM (${this.dueSql("'queued', 'wait', 'unknown'", '$4')}) AS due`,
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
         SELECT id, due_at FROM (${this.dueSql("'wait', 'unknown'", '$3')}) AS payout
         WHERE due_at < clock_timestamp() + $1 * interval '1 ms'
           AND NOT EXISTS (SELECT 1 FROM "${this.queue.schema}".jobs WHERE key = '${this.queue.tasks.check}:' || payout.id)
         ORDER BY due_at LIMIT $2
       ) SELECT ${addJobsSql(this.dataSource, this.queue, `array_agg(${job})`)} AS added FROM due, bound HAVING count(*) > 0`,
      [withinMs, limit, this.options.instance],
    );
    return row?.added ?? 0;
  }

  /** Payouts that something is due for: the open ones of these statuses, and the final ones that are asked about yet. */
  private dueSql(statuses: string, instance: string): string {
    const select = `SELECT id, status, due_at FROM ${this.table} WHERE instance = ${instance}`;
    return `${select} AND status IN (${statuses}) UNION ALL
      ${select} AND settled_at IS NOT NULL AND due_at IS NOT NULL`;
  }

  /** @throws PayoutNotFoundError */
  async read(id: string): Promise<PayoutSnapshot> {
    const row = await this.one(this.rows.list('payout'), 'id', id);
    if (!row) throw new PayoutNotFoundError(`There is no payout ${id}.`);
    return this.rows.snapshot(row);
  }

  /**
   * The payout that a notification speaks of, and what has become of that notification before.
   * @param digest of the notification's content.
   * @throws DatabaseUnavailableError
   */
  async findForNotification(
    orderId: string,
    digest: Buffer,
  ): Promise<{ known: PayoutSnapshot | null; inboxResult: string | null }> {
    const columns = [{ name: 'digest', type: 'text' }, KEYS.orderId, INSTANCE];
    const sql = ` SELECT ${this.rows.list('payout')}, ${CLOCK}, wanted.digest, inbox.result AS inbox_result FROM wanted
      JOIN ${this.table} AS payout USING (order_id, instance)
      LEFT JOIN ${tablePath(this.dataSource, 'alikassa_notifications')} AS inbox
        ON inbox.instance = wanted.instance AND inbox.digest = decode(wanted.digest, 'hex')`;
    const values = [digest.toString('hex'), orderId, this.options.instance];
    const row = await mapped(this.batches.run({ columns, sql, key: 'digest', isWrite: false }, values));
    return {
      known: row ? this.rows.snapshot(row) : null,
      inboxResult: (row?.['inbox_result'] ?? null) as string | null,
    };
  }

  /** The payout of an order with its encrypted columns, in the given transaction. @throws DatabaseUnavailableError */
  async findSealed(orderId: string, manager: EntityManager): Promise<Payout | null> {
    const row = await mapped(this.one(this.rows.sealedList('payout'), 'orderId', orderId, { manager }));
    return row ? this.rows.entity(row) : null;
  }

  /** Newest first. @throws DatabaseUnavailableError */
  async page({ orderId, status, before, numbers }: PayoutFilter, limit: number): Promise<Payout[]> {
    const params: unknown[] = [];
    const bind = bindTo(params);
    const conditions = [`instance = ${bind(this.options.instance, 'text')}`];
    if (orderId != null) conditions.push(`order_id = ${bind(orderId, 'text')}`);
    if (status != null) conditions.push(`status = ${bind(status, 'text')}`);
    if (before !== undefined) conditions.push(`seq < ${bind(before, 'bigint')}`);
    if (numbers) conditions.push(`number_fingerprint = ANY (${bind(numbers, 'bytea[]')})`);
    const rows = await this.query<ResultRow>(
      `SELECT ${this.rows.list('payout')} FROM ${this.table} AS payout
       WHERE ${conditions.join(' AND ')} ORDER BY payout.seq DESC LIMIT ${bind(limit, 'integer')}`,
      params,
    );
    return rows.map((row) => this.rows.entity(row));
  }

  /**
   * A payout's history, oldest first.
   * @param since a revision: only what has happened after it.
   * @throws DatabaseUnavailableError
   */
  async events(id: string, since: number | null = null): Promise<PayoutEvent[]> {
    const events = tablePath(this.dataSource, 'alikassa_payout_events');
    const rows = await this.query<ResultRow>(
      `SELECT ${this.history.list('event')} FROM ${events} AS event
       WHERE payout_id = $1 AND ($2::int IS NULL OR revision > $2) ORDER BY event.id`,
      [id, since],
    );
    return rows.map((row) => this.history.entity(row));
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

/** The provider's word, which names an id of its own. */
function isWord(evidence: Evidence): evidence is Extract<Evidence, { isForeignId?: boolean }> {
  return evidence.type === 'submission' || evidence.type === 'check' || evidence.type === 'notification';
}

/** Whether the worker comes to the same evidence again by itself. */
function isRepeated({ type }: Evidence): boolean {
  return type === 'claimed' || type === 'check' || type === 'paused' || type === 'lease_expired';
}

function countSettled({ account, service }: Payout, status: PayoutStatus): void {
  const attributes = { 'alikassa.account': account, 'alikassa.service': service, 'alikassa.payout.status': status };
  instruments().settled.add(1, attributes);
}
