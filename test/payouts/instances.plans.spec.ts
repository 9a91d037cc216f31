import { DataSource, type Logger } from 'typeorm';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { resolveOptions } from '../../src/alikassa.options.js';
import { DatabaseEpochs } from '../../src/payouts/database.epochs.js';
import { DeliveryStore } from '../../src/payouts/delivery.store.js';
import { HandlerRegistry } from '../../src/payouts/handler.registry.js';
import { OpenOrders } from '../../src/payouts/open.orders.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { PayoutService } from '../../src/payouts/payout.service.js';
import { PayoutStore } from '../../src/payouts/payout.store.js';
import { RecipientCipher } from '../../src/payouts/recipient.cipher.js';
import { RecipientRetention } from '../../src/payouts/recipient.retention.js';
import { RUB } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { SECOND_ACCOUNT } from '../helpers/instances.js';
import { unprotected } from '../helpers/unprotected.js';

/** Of the other merchant, in each of the ways in which a row may lie in the way. */
const OTHERS = 5_000;
/** What a statement may see in passing. */
const FEW = 100;

class Sent implements Logger {
  statements: { sql: string; params: unknown[] }[] = [];
  logQuery(sql: string, params: unknown[] = []): void {
    this.statements.push({ sql, params });
  }
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}

interface Plan {
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

let database: TestDatabase;
let dataSource: DataSource;
const sent = new Sent();
const key = { id: 'k', key: Buffer.alloc(32, 1) };
const options = resolveOptions(
  {
    accounts: [{ uuid: SECOND_ACCOUNT, currency: 'RUB' }],
    encryptionKeys: [key],
    privateKey: 'unused',
    notificationPublicKey: 'unused',
    recipientRetentionDays: 1,
  },
  'second',
);

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    entities: alikassaEntities,
    logging: ['query'],
    logger: sent,
  }).initialize();
  // Its own past is not read past either.
  await unprotected(
    database.pool,
    `
    INSERT INTO alikassa_payouts (id, instance, order_id, account, currency, amount, service, number_masked, status,
      settled_at, key_id, number_fingerprint, content_fingerprint)
    SELECT gen_random_uuid(), 'second', 'old-' || number, '${SECOND_ACCOUNT}', 'RUB', 1, 's', '*', 'cancel', now(), 'k', '', ''
    FROM generate_series(1, ${OTHERS}) AS number`,
  );
  await unprotected(
    database.pool,
    `
    INSERT INTO alikassa_payouts (id, instance, order_id, account, currency, amount, service, number_masked, status,
      attention, settled_at, lease_until, due_at, key_id, recipient_ciphertext, number_fingerprint, content_fingerprint)
    SELECT gen_random_uuid(), instance, row_number() OVER ()::text, account::uuid, 'RUB', 1, 's', '*', status, 'not_found',
      CASE WHEN status = 'paid' THEN now() - interval '10 days' END, CASE WHEN status = 'sending' THEN now() - interval '1 h' END,
      now() - interval '1 h', 'k', '\\x01', '', ''
    FROM (VALUES ('second', '${SECOND_ACCOUNT}', 10), ('default', '${RUB}', ${OTHERS})) AS one (instance, account, number),
      generate_series(1, number), unnest(ARRAY['paid', 'queued', 'sending', 'wait', 'unknown']) AS status`,
  );
  await unprotected(
    database.pool,
    `
    INSERT INTO alikassa_payout_events (payout_id, type, to_status, attempt) SELECT id, 'created', 'queued', 0 FROM alikassa_payouts`,
  );
  await database.pool.query(`
    INSERT INTO alikassa_deliveries (event_id, handler, due_at, instance)
    SELECT event.id, 'h', now() - interval '1 h', instance
    FROM alikassa_payout_events AS event JOIN alikassa_payouts AS payout ON payout.id = payout_id
    WHERE status <> 'cancel'`);
  await database.pool.query(`
    INSERT INTO alikassa_database_epochs (id, identity, reason, ask_until) VALUES (1, 'i', 'person', now() + interval '1 d')`);
  await database.pool.query('VACUUM ANALYZE');
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

const store = (): PayoutStore => new PayoutStore(dataSource, options, new HandlerRegistry(), new OpenOrders());
const payouts = (): PayoutService => {
  const none = undefined as never;
  return new PayoutService(dataSource, options, store(), none, new RecipientCipher([key]), none, none);
};
const EPOCH = { id: 1, reason: 'person', isDoubting: true } as const;
const OVERDUE = { overdueMs: 1_000, limit: 500, runMs: 10_000 };

it.each<[what: string, run: () => Promise<unknown>]>([
  ['a page', () => payouts().list()],
  ['a page of one status', () => payouts().list({ status: 'paid' })],
  ['a page of one order', () => payouts().list({ order_id: '7' })],
  ['an order', () => store().findForNotification('7', Buffer.alloc(32))],
  ['expired leases', () => store().expiredLeases(500)],
  ['overdue payouts', () => store().requeueOverdue(OVERDUE)],
  ['overdue calls of handlers', () => new DeliveryStore(dataSource, options).requeueOverdue(OVERDUE)],
  [
    'what a database that went back has to ask about',
    () => new DatabaseEpochs(dataSource, options).unasked(EPOCH, 500),
  ],
  ['recipients to erase', () => new RecipientRetention(dataSource, options).erase()],
  ['the overview', () => new PayoutOverview(dataSource, options).read()],
])('%s of a small merchant: the rows of a big one on the same tables are not read past', async (_, run) => {
  sent.statements = [];
  await run();
  expect(sent.statements).toHaveLength(1);
  const [{ sql, params } = { sql: '', params: [] }] = sent.statements;
  const { rows } = await database.pool.query<Record<'QUERY PLAN', [{ Plan: Plan }]>>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`,
    params,
  );
  const ours = nodesOf(rows[0]!['QUERY PLAN'][0].Plan).filter((node) => node['Relation Name']?.startsWith('alikassa_'));
  expect(ours.length).toBeGreaterThan(0);
  for (const node of ours) {
    expect((node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']).toBeLessThan(FEW);
  }
});

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
