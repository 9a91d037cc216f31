import { randomBytes, randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { resolveOptions, type AliKassaOptions } from '../../src/alikassa.options.js';
import { HandlerRegistry } from '../../src/payouts/handler.registry.js';
import { OpenOrders } from '../../src/payouts/open.orders.js';
import type { PayoutEvent } from '../../src/payouts/payout.entity.js';
import type { Evidence, ProviderFacts } from '../../src/payouts/payout.evidence.js';
import { PayoutIntake, type NewPayout } from '../../src/payouts/payout.intake.js';
import { PayoutStore } from '../../src/payouts/payout.store.js';
import { RUB } from './application.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { unprotected } from './unprotected.js';

export const TRACE = { reason: 'test', phase: 'secured' as const, durationMs: 1 };
/** Id of no payout. */
export const NONE = randomUUID();
/** Of the attempt that `claim()` begins and the evidence here tells of. */
export const TOKEN = randomUUID();
export const CLAIMED: Evidence = { type: 'claimed', token: TOKEN };
/** Of a payout that nothing has happened to. */
export const withdrawal: Evidence = { type: 'withdrawal', decision: randomUUID(), revision: 0, actor: 'op' };
export const accepted: Evidence = {
  type: 'submission',
  attempt: 1,
  token: TOKEN,
  outcome: { ...TRACE, kind: 'ok', value: { id: '7', payment_status: 'wait' } },
};
export const unclear: Evidence = {
  type: 'submission',
  attempt: 1,
  token: TOKEN,
  outcome: { ...TRACE, kind: 'unclear' },
};
export const unauthorized: Evidence = {
  type: 'submission',
  attempt: 1,
  token: TOKEN,
  outcome: { ...TRACE, kind: 'unauthorized' },
};
export const unsent: Evidence = {
  type: 'submission',
  attempt: 1,
  token: TOKEN,
  outcome: { ...TRACE, kind: 'never_sent' },
};

/** A job as the engine would find it. */
export interface StoredJob {
  key: string;
  run_at: Date;
  max_attempts: number;
  payload: Record<string, unknown>;
}

export interface TestStore {
  intake: PayoutIntake;
  store: PayoutStore;
  handlers: HandlerRegistry;
  openOrders: OpenOrders;
  database: TestDatabase;
  dataSource: DataSource;
  /** Inserts a payout in a transaction of its own. @returns its id. */
  add(changes?: Partial<NewPayout>, actor?: string): Promise<string>;
  /** The row's columns, as Postgres has them. */
  row(id: string): Promise<Record<string, unknown>>;
  events(id: string): Promise<PayoutEvent[]>;
  jobs(): Promise<StoredJob[]>;
  /** Sorted. */
  jobKeys(): Promise<string[]>;
  deliveries(): Promise<{ event_id: string; handler: string }[]>;
  /** A notification that fits the payout, but for the changes. */
  paid(id: string, changes?: Partial<ProviderFacts>): Promise<Evidence>;
  /** Whether the SQL condition holds for the row. */
  holds(id: string, condition: string): Promise<boolean>;
  /** Changes the row past the store: what a test needs in place of time or of a fault. */
  change(id: string, assignments: string): Promise<void>;
  /** Removes jobs, deliveries and pauses, and frees the provider's ids; the intake and the store are new ones then, that remember no statement. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

export function newPayout(changes: Partial<NewPayout> = {}): NewPayout {
  return {
    id: randomUUID(),
    orderId: randomUUID(),
    account: RUB,
    currency: 'RUB',
    amount: '500.10',
    service: 'payment_card_rub',
    numberMasked: '411111******1111',
    keyId: 'test',
    recipientCiphertext: Buffer.from('sealed'),
    numberFingerprint: Buffer.from('number'),
    contentFingerprint: Buffer.from('content'),
    ...changes,
  };
}

/** The store on a database of its own, without an engine: nothing else moves a payout, and every job stays to be seen. */
export async function startStore(options: Partial<AliKassaOptions> = {}, isRestricted?: boolean): Promise<TestStore> {
  const database = await createTestDatabase(undefined, isRestricted);
  const dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    entities: alikassaEntities,
  }).initialize();
  const handlers = new HandlerRegistry();
  const resolved = resolveOptions({
    accounts: [{ uuid: RUB, currency: 'RUB' }],
    encryptionKeys: [{ id: 'test', key: randomBytes(32) }],
    privateKey: 'unused',
    notificationPublicKey: 'unused',
    timeoutMs: 30_000,
    leaseMs: 60_000,
    checkSchedule: [10_000, 30_000],
    ...options,
  });
  const openOrders = new OpenOrders();
  const renewed = (): Pick<TestStore, 'intake' | 'store'> => ({
    intake: new PayoutIntake(dataSource, resolved, handlers),
    store: new PayoutStore(dataSource, resolved, handlers, openOrders),
  });
  const query = async <T extends object>(sql: string, params: unknown[] = []): Promise<T[]> =>
    (await database.pool.query<T>(sql, params)).rows;
  const row: TestStore['row'] = async (id) => {
    const [found] = await query<Record<string, unknown>>('SELECT * FROM alikassa_payouts WHERE id = $1', [id]);
    if (!found) throw new Error(`There is no row ${id}`);
    return found;
  };
  const jobs: TestStore['jobs'] = () =>
    query(`SELECT job.key, job.run_at, job.max_attempts, private.payload FROM alikassa_worker.jobs AS job
      JOIN alikassa_worker._private_jobs AS private USING (id) ORDER BY job.id`);
  const test: TestStore = {
    ...renewed(),
    handlers,
    openOrders,
    database,
    dataSource,
    row,
    jobs,
    add: async (changes, actor) => {
      const one = newPayout(changes);
      await test.intake.insert(one, actor, dataSource.manager);
      return one.id;
    },
    events: (id) => query('SELECT * FROM alikassa_payout_events WHERE payout_id = $1 ORDER BY id', [id]),
    jobKeys: async () => (await jobs()).map(({ key }) => key).toSorted(),
    deliveries: () => query('SELECT event_id, handler FROM alikassa_deliveries ORDER BY event_id, handler'),
    paid: async (id, changes) => {
      const { order_id: orderId } = await row(id);
      const facts: ProviderFacts = { status: 'paid', id: '7', orderId: String(orderId), amount: '500.1', ...changes };
      return { type: 'notification', facts };
    },
    holds: async (id, condition) => {
      const [found] = await query<{ holds: boolean }>(
        `SELECT ${condition} AS holds FROM alikassa_payouts WHERE id = $1`,
        [id],
      );
      return found?.holds ?? false;
    },
    change: (id, assignments) =>
      unprotected(database.pool, `UPDATE alikassa_payouts SET ${assignments} WHERE id = $1`, [id]),
    clear: async () => {
      await query('TRUNCATE alikassa_worker._private_jobs, alikassa_deliveries, alikassa_account_pauses');
      await unprotected(database.pool, 'UPDATE alikassa_payouts SET provider_id = NULL WHERE provider_id IS NOT NULL');
      Object.assign(test, renewed());
    },
    stop: async () => {
      await dataSource.destroy();
      await database.drop();
    },
  };
  return test;
}
