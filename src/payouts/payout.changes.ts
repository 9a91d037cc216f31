import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { activeTraceparent } from '../instrumentation/spans.js';
import { pausesTable, pauseSql } from './account.pauses.js';
import { standingEpochSql } from './database.epochs.js';
import { DURABLE, type Bind } from './database.statements.js';
import { tablePath } from './database.tables.js';
import { reliesOnOwnRecords } from './decision/restored.js';
import { deliveriesSql } from './delivery.store.js';
import type { HandlerRegistry } from './handler.registry.js';
import type { Decision } from './payout.decision.js';
import type { Payout } from './payout.entity.js';
import { activeTraceSql, addJobsSql, jobQueueOf, payoutJobSql, type JobQueue } from './payout.queue.js';
import { CLOCK, type PayoutRows } from './payout.rows.js';
import type { PayoutSnapshot } from './payout.snapshot.js';
import { isFinal, mayFollow } from './payout.status.js';
import type { RowBatches } from './row.batches.js';

/**
 * A statement of another table that is to commit with a change, and only with it.
 * @param changed SQL to select from: one row for each payout that was changed.
 */
export type Alongside = (bind: Bind, changed: string) => string;

const CHANGED = 'changed JOIN wanted USING (id)';

/**
 * Writes what is decided: row, event, next job and whatever else belongs to it, all of them or nothing, if the row is still
 * the one that it was decided on. Changes of the same kind that come at the same time are written together.
 */
export class PayoutChanges {
  private readonly queue: JobQueue;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'worker'>,
    private readonly handlers: HandlerRegistry,
    private readonly rows: PayoutRows,
    private readonly batches: RowBatches,
  ) {
    this.queue = jobQueueOf(options);
  }

  /**
   * @returns the payout as it is now; null where its row has changed since it was read, or where it is to be sent or ended
   * as never sent and the database went back since the provider was asked about it.
   * @throws the driver's error: it is for the caller to map.
   */
  async write(
    { payout, now }: PayoutSnapshot,
    decision: Decision,
    alongside?: Alongside,
  ): Promise<PayoutSnapshot | null> {
    const columns = [
      { name: 'id', type: 'uuid' },
      { name: 'revision', type: 'integer' },
      // A database that went back comes to the same revision again, by another way.
      { name: 'attempt_token', type: 'uuid' },
    ];
    const values: unknown[] = [payout.id, payout.revision, payout.attemptToken];
    const bind: Bind = (value, type) => {
      const name = `value_${values.push(value)}`;
      columns.push({ name, type });
      return `wanted.${name}`;
    };
    const sql = this.sql(payout, now, decision, bind, alongside);
    const row = await this.batches.run({ columns, sql, key: 'id', isWrite: true }, values);
    return row ? this.rows.snapshot(row) : null;
  }

  private sql(payout: Payout, now: Date, decision: Decision, bind: Bind, alongside: Alongside | undefined): string {
    const { to, next, event, pause } = decision;
    const assignments = this.assignments(payout, now, decision, bind);
    // A poll that finds nothing new leaves the revision to those who decide by it.
    if (event) assignments.push('revision = payout.revision + 1', 'updated_at = clock_timestamp()');
    const history = event ? `, history AS (${this.historySql(payout, event, bind)})` : '';
    const pauses = pause ? `, pauses AS (${pauseSql(pausesTable(this.dataSource), pause, CHANGED, bind)})` : '';
    const other = alongside ? `, alongside AS (${alongside(bind, CHANGED)})` : '';
    const names = event && to !== payout.status ? this.handlers.namesFor(to) : [];
    const deliveries = names.length > 0 ? this.deliveriesSql(names, bind) : { table: '', jobs: '' };
    const standing = reliesOnOwnRecords(payout, decision) ? standingEpochSql(this.dataSource) : null;
    return `${standing ? `, ${standing.cte}` : ''}, changed AS (
         UPDATE ${tablePath(this.dataSource, 'alikassa_payouts')} AS payout
         SET ${assignments.join(', ')}
         FROM wanted WHERE payout.id = wanted.id AND payout.revision = wanted.revision
           AND payout.attempt_token IS NOT DISTINCT FROM wanted.attempt_token
           ${standing ? `AND ${standing.holds}` : ''}
         RETURNING payout.*
       )${history}${pauses}${other}${deliveries.table}
       SELECT ${this.rows.list('changed')}, ${CLOCK}, ${DURABLE}
         ${this.jobSql(next, bind)}${deliveries.jobs} FROM changed`;
  }

  private assignments(payout: Payout, now: Date, { to, set, next }: Decision, bind: Bind): string[] {
    if (to !== payout.status && !mayFollow(payout.status, to)) {
      throw new TypeError(`No transition leads from ${payout.status} to ${to}; decide() has a fault.`);
    }
    const changes: Partial<Payout> = { ...set, status: to };
    if (to !== 'sending') changes.leaseUntil = null;
    if (isFinal(to) && !isFinal(payout.status)) changes.settledAt = now;
    // A claimed payout is due when its lease ends: the sweep then finds it by the same index.
    if (next === null) changes.dueAt = set.leaseUntil ?? null;
    else if (next !== 'keep') changes.dueAt = new Date(now.getTime() + next.afterMs);
    return Object.entries(changes).map(([property, value]) => {
      const { name, type } = this.rows.columnOf(property);
      return `${name} = ${bind(this.rows.valueOf(property, value), type)}`;
    });
  }

  private historySql(payout: Payout, event: NonNullable<Decision['event']>, bind: Bind): string {
    const { type, actor, decision, detail } = event;
    const decided = decision
      ? { column: ', decision', value: `, ${bind(decision, 'uuid')}` }
      : { column: '', value: '' };
    return `INSERT INTO ${tablePath(this.dataSource, 'alikassa_payout_events')}
           (payout_id, type, from_status, to_status, attempt, revision, actor, detail${decided.column})
         SELECT changed.id, ${bind(type, 'text')}, ${bind(payout.status, 'text')}, changed.status, changed.attempt,
           changed.revision, ${bind(actor, 'text')}, ${bind(JSON.stringify(detail), 'jsonb')}${decided.value} FROM ${CHANGED}
         RETURNING id, payout_id`;
  }

  private deliveriesSql(names: string[], bind: Bind): { table: string; jobs: string } {
    return deliveriesSql(this.dataSource, this.queue, {
      handlers: bind(JSON.stringify(names), 'jsonb'),
      instance: bind(this.options.instance, 'text'),
      traceparent: activeTraceSql(bind),
    });
  }

  /**
   * The job that follows. A check that is not due soon gets its job from the sweep in time: most payouts have ended by
   * then, and a job costs as much as a change of status. One that is traced has it now, since only a job knows its trace.
   */
  private jobSql(next: Decision['next'], bind: Bind): string {
    if (!next || next === 'keep') return '';
    const isLater = next.task === 'check' && next.afterMs > this.options.worker.sweepIntervalMs && !activeTraceparent();
    if (isLater) return '';
    const traceparent = activeTraceSql(bind);
    const job = payoutJobSql(this.queue, next.task, { id: 'changed.id', runAt: 'changed.due_at', traceparent });
    return `, (SELECT ${addJobsSql(this.dataSource, this.queue, `array_agg(${job})`)} FROM ${CHANGED}) AS jobs`;
  }
}
