import { DataSource } from 'typeorm';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { RUB } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { Statements } from '../helpers/statements.js';
import { unprotected } from '../helpers/unprotected.js';

const FINAL_ROWS = 20_000;
let database: TestDatabase;
let dataSource: DataSource;
const statements = new Statements();

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    entities: alikassaEntities,
    logging: true,
    logger: statements,
  }).initialize();
  await unprotected(
    database.pool,
    `
    INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, status, attention,
      created_at, settled_at, due_at, key_id, number_fingerprint, content_fingerprint)
    SELECT gen_random_uuid(), n::text, '${RUB}', 'RUB', 1, 'qiwi_rub', '*', status, attention,
      now() - age, CASE WHEN status = 'paid' THEN now() END, due_at, 'k', '', ''
    FROM (
      SELECT n, 'paid' AS status, NULL AS attention, interval '1 day' AS age, NULL::timestamptz AS due_at
        FROM generate_series(1, ${FINAL_ROWS}) AS n
      UNION ALL SELECT -1, 'paid', 'paid_in_part', interval '1 day', NULL
      UNION ALL SELECT -2, 'unknown', 'not_found', interval '1 hour', now() - interval '1 minute'
      UNION ALL SELECT -3, 'unknown', NULL, interval '1 minute', now() + interval '1 minute'
      UNION ALL SELECT -4, 'wait', NULL, interval '2 days', now() + interval '1 minute'
    ) AS one ORDER BY age DESC`,
  );
  await database.pool.query('VACUUM ANALYZE alikassa_payouts');
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

const options = { accounts: [{ uuid: RUB, currency: 'RUB' }], instance: 'default' };

describe('the overview', () => {
  it('counts what is open and what carries attention, and says how old and how late', async () => {
    const overview = await new PayoutOverview(dataSource, options).read();
    const counts = overview.open.map(({ account, status, count }) => `${account === RUB} ${status} ${count}`);
    expect(counts.toSorted()).toEqual(['true queued 0', 'true sending 0', 'true unknown 2', 'true wait 1']);
    expect(overview.attention.toSorted((a, b) => a.reason.localeCompare(b.reason))).toEqual([
      { account: RUB, reason: 'not_found', count: 1 },
      { account: RUB, reason: 'paid_in_part', count: 1 },
    ]);
    expect(Math.floor(overview.oldestUnknownSeconds / 60)).toBe(60);
    expect(Math.floor(overview.lagSeconds.payouts / 60)).toBe(1);
    expect(overview.lagSeconds.handlers).toBe(0);
  });

  it('reads no payout that has ended without attention', async () => {
    await new PayoutOverview(dataSource, options).read();
    const { rows } = await database.pool.query<Record<'QUERY PLAN', [{ Plan: Plan }]>>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${statements.sent.at(-1)}`,
      [options.instance],
    );
    const scans = nodesOf(rows[0]!['QUERY PLAN'][0].Plan).filter(
      (node) => node['Relation Name'] === 'alikassa_payouts',
    );
    const seen = scans.map((node) => node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0));
    expect(scans.length).toBeGreaterThanOrEqual(4);
    expect(Math.max(...seen)).toBeLessThan(FINAL_ROWS / 100);
  });

  it('asks the database once, however many ask for it', async () => {
    const overview = new PayoutOverview(dataSource, options);
    const before = statements.sent.length;
    await Promise.all(Array.from({ length: 50 }, async () => overview.read()));
    await overview.read();
    expect(statements.sent.length - before).toBe(1);
  });
});

interface Plan {
  'Relation Name'?: string;
  'Actual Rows': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
