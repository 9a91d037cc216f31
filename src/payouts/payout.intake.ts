import type { DataSource, EntityManager } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { activeTraceparent } from '../instrumentation/spans.js';
import { mapped } from './database.errors.js';
import { DURABLE } from './database.statements.js';
import { tablePath } from './database.tables.js';
import { deliveriesSql } from './delivery.store.js';
import type { HandlerRegistry } from './handler.registry.js';
import { watchTransactions } from './host.transaction.js';
import type { Payout } from './payout.entity.js';
import { addJobsSql, jobQueueOf, payoutJobSql, type JobQueue } from './payout.queue.js';
import { PayoutRows } from './payout.rows.js';
import { remembered } from './remembered.js';
import { RowBatches, type RowStatement } from './row.batches.js';

/** Columns of the row that `create` knows, and their properties; a cast to a type with a length would cut the value. */
const COLUMNS = [
  { property: 'id', name: 'id', type: 'uuid' },
  { property: 'orderId', name: 'order_id', type: 'text' },
  { property: 'account', name: 'account', type: 'uuid' },
  { property: 'currency', name: 'currency', type: 'text' },
  { property: 'amount', name: 'amount', type: 'numeric' },
  { property: 'service', name: 'service', type: 'text' },
  { property: 'numberMasked', name: 'number_masked', type: 'text' },
  { property: 'keyId', name: 'key_id', type: 'text' },
  { property: 'recipientCiphertext', name: 'recipient_ciphertext', type: 'bytea' },
  { property: 'numberFingerprint', name: 'number_fingerprint', type: 'bytea' },
  { property: 'contentFingerprint', name: 'content_fingerprint', type: 'bytea' },
] as const;
const NAMES = COLUMNS.map(({ name }) => name).join(', ');
const ORDER_ID = COLUMNS.findIndex(({ name }) => name === 'order_id');
const WANTED = [
  ...COLUMNS,
  { name: 'instance', type: 'text' },
  { name: 'actor', type: 'text' },
  { name: 'handlers', type: 'jsonb' },
  { name: 'traceparent', type: 'text' },
];

/** A new row. */
export type NewPayout = Pick<Payout, (typeof COLUMNS)[number]['property']>;

/** Takes new payouts in; those that come at the same time together. */
export class PayoutIntake {
  private readonly queue: JobQueue;
  private readonly rows: PayoutRows;
  private readonly batches: RowBatches;
  private readonly statements = new Map<string, RowStatement>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'worker'>,
    private readonly handlers: HandlerRegistry,
  ) {
    this.queue = jobQueueOf(options);
    this.rows = new PayoutRows(dataSource);
    this.batches = new RowBatches(dataSource);
    watchTransactions(dataSource);
  }

  /**
   * Inserts a payout, its first event and its job, all of them or nothing: in the manager's transaction if it has one.
   * @returns the payout; null where the order_id is taken, and nothing was written.
   * @throws DatabaseUnavailableError
   */
  async insert(row: NewPayout, actor: string | undefined, manager: EntityManager): Promise<Payout | null> {
    const handlers = this.handlers.namesFor('queued');
    const traceparent = activeTraceparent();
    const [isHandled, isTraced] = [handlers.length > 0, traceparent !== undefined];
    const statement = remembered(this.statements, `${isHandled} ${isTraced}`, () =>
      this.statement(isHandled, isTraced),
    );
    const own = COLUMNS.map(({ property }) => row[property]);
    const values = [...own, this.options.instance, actor, JSON.stringify(handlers), traceparent];
    const inserted = await mapped(this.batches.run(statement, values, manager));
    return inserted ? this.rows.entity(inserted) : null;
  }

  private statement(isHandled: boolean, isTraced: boolean): RowStatement {
    const traceparent = isTraced ? 'wanted.traceparent' : undefined;
    const job = payoutJobSql(this.queue, 'submit', { id: 'new_payout.id', runAt: 'now()', traceparent });
    const calls = { handlers: 'wanted.handlers', instance: 'wanted.instance', traceparent };
    const deliveries = isHandled ? deliveriesSql(this.dataSource, this.queue, calls) : { table: '', jobs: '' };
    // Sorted, so that two statements with the same order_ids wait for each other in one direction only.
    const sql = `, new_payout AS (
         INSERT INTO ${tablePath(this.dataSource, 'alikassa_payouts')} (${NAMES}, instance, status, due_at)
         SELECT ${NAMES}, instance, 'queued', now() FROM wanted ORDER BY order_id
         ON CONFLICT (instance, order_id) DO NOTHING
         RETURNING *
       ), history AS (
         INSERT INTO ${tablePath(this.dataSource, 'alikassa_payout_events')} (payout_id, type, to_status, attempt, revision, actor)
         SELECT id, 'created', 'queued', 0, 0, actor FROM new_payout JOIN wanted USING (id)
         RETURNING id, payout_id
       )${deliveries.table}
       SELECT ${this.rows.list('new_payout')}, ${DURABLE},
         (SELECT ${addJobsSql(this.dataSource, this.queue, `array_agg(${job})`)}
          FROM new_payout JOIN wanted USING (id)) AS jobs${deliveries.jobs}
       FROM new_payout`;
    return { columns: WANTED, sql, key: 'id', contended: ORDER_ID, isWrite: true };
  }
}
