import { DataSource } from 'typeorm';
import { alikassaMigrations } from '../../migrations/index.js';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { prepare, startApplication, type PostgresSettings, type TestSurroundings } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';

const PLACES: [schema: string | undefined, entityPrefix: string | undefined][] = [
  ['payments', 'x_'],
  ['payments', 'Other-'],
  ['Second schema', undefined],
  [undefined, 'y_'],
];

let around: TestSurroundings;

beforeAll(async () => {
  around = await prepare();
  for (const name of ['payments', '"Second schema"']) await around.database.pool.query(`CREATE SCHEMA ${name}`);
});
afterAll(() => around.stop());

function settings(schema: string | undefined, entityPrefix: string | undefined): PostgresSettings {
  return {
    type: 'postgres',
    url: around.database.adminUrl,
    entities: alikassaEntities,
    migrations: alikassaMigrations,
    schema,
    entityPrefix,
    migrationsTableName: `${entityPrefix ?? ''}migrations`,
  };
}

/** Names of every relation, constraint, trigger and function of ours, under the schema's. */
async function names(): Promise<string[]> {
  const { rows } = await around.database.pool.query<{ name: string }>(
    `SELECT DISTINCT nspname || ': ' || name AS name FROM (
       SELECT relnamespace AS space, relname AS name FROM pg_class
       UNION ALL SELECT connamespace, conname FROM pg_constraint WHERE contype IN ('u', 'p', 'f')
       UNION ALL SELECT pronamespace, proname FROM pg_proc
       UNION ALL SELECT relnamespace, tgname FROM pg_trigger JOIN pg_class AS owner ON owner.oid = tgrelid WHERE NOT tgisinternal
     ) AS one JOIN pg_namespace ON pg_namespace.oid = space WHERE name LIKE '%alikassa%' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

describe.each(PLACES)('a DataSource with schema %p and entityPrefix %p', (schema, entityPrefix) => {
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = await new DataSource(settings(schema, entityPrefix)).initialize();
  });
  afterAll(() => dataSource.destroy());

  it.each(['all', 'each', 'none'] as const)(
    'has our tables there after its migrations in transactions: %s, and nothing after reverting them',
    async (transaction) => {
      const before = await names();
      const place = `${schema ?? 'public'}: ${entityPrefix ?? ''}alikassa_`;
      const standard = before.filter((name) => /^public: alikassa_(?!migrations)/.test(name));
      await dataSource.runMigrations({ transaction });
      const added = (await names()).filter((name) => !before.includes(name));
      expect(added.toSorted()).toEqual(
        standard.map((name) => place + name.slice('public: alikassa_'.length)).toSorted(),
      );
      for (let i = 0; i < alikassaMigrations.length; i++) await dataSource.undoLastMigration({ transaction });
      expect(await names()).toEqual(before);
    },
  );

  it('pays out beside another application on the default schema of the same database', async () => {
    await dataSource.runMigrations();
    const usual = await startApplication({ surroundings: around });
    const placed = await startApplication({
      surroundings: around,
      options: { worker: { schema: `worker_${PLACES.findIndex(([a, b]) => a === schema && b === entityPrefix)}` } },
      dataSource: settings(schema, entityPrefix),
    });
    try {
      for (const [one, other] of [
        [placed, usual],
        [usual, placed],
      ] as const) {
        const { id } = await one.payouts.create(payload() as never);
        await one.until(id, 'paid');
        expect((await one.payouts.list()).data.map((payout) => payout.id)).toContain(id);
        expect(await one.payouts.events(id)).not.toHaveLength(0);
        await expect(other.payouts.find(id)).rejects.toThrow('no payout');
      }
    } finally {
      await placed.app.close();
      await usual.app.close();
    }
  });

  it('refuses to rewrite what was paid, and its history', async () => {
    const table = `"${schema ?? 'public'}"."${entityPrefix ?? ''}alikassa_payouts"`;
    await expect(dataSource.query(`UPDATE ${table} SET amount = 1`)).rejects.toThrow('is refused');
    await expect(dataSource.query(`UPDATE ${table} SET status = 'wait', settled_at = NULL`)).rejects.toThrow(
      'is refused',
    );
    await expect(dataSource.query(`DELETE FROM ${table}`)).rejects.toThrow('is refused');
    const event = `INSERT INTO ${table.replace('payouts', 'payout_events')} (payout_id, type, from_status, to_status, attempt)
      SELECT id, 'check', status, status, attempt FROM ${table}`;
    await expect(dataSource.query(event)).rejects.toThrow(
      'is refused: an event is written by the statement that changes',
    );
  });
});
