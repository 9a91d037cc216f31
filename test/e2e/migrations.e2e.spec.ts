import { DataSource } from 'typeorm';
import { alikassaMigrations } from '../../migrations/index.js';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { unprotected } from '../helpers/unprotected.js';

let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  const options = {
    type: 'postgres',
    url: database.adminUrl,
    entities: alikassaEntities,
    migrations: alikassaMigrations,
    migrationsTableName: 'alikassa_migrations',
  } as const;
  dataSource = await new DataSource(options).initialize();
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

const tables = async (): Promise<string[]> => {
  const { rows } = await database.pool.query<{ tablename: string }>(
    `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'alikassa%'
       AND tablename <> 'alikassa_migrations' ORDER BY 1`,
  );
  return rows.map(({ tablename }) => tablename);
};

describe('the migrations', () => {
  it('run back to nothing and forward again', async () => {
    const all = [
      'alikassa_account_pauses',
      'alikassa_database_epochs',
      'alikassa_deliveries',
      'alikassa_keys',
      'alikassa_notifications',
      'alikassa_payout_events',
      'alikassa_payouts',
    ];
    expect(await tables()).toEqual(all);
    for (let i = 0; i < alikassaMigrations.length; i++) await dataSource.undoLastMigration();
    expect(await tables()).toEqual([]);
    await dataSource.runMigrations();
    expect(await tables()).toEqual(all);
  });

  it('make every column that the entities name', async () => {
    for (const { tableName, columns } of dataSource.entityMetadatas) {
      const { rows } = await database.pool.query<{ column_name: string; is_nullable: string }>(
        'SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = $1 ORDER BY 1',
        [tableName],
      );
      const named = columns.map((column) => ({
        column_name: column.databaseName,
        is_nullable: column.isNullable ? 'YES' : 'NO',
      }));
      expect(rows).toEqual(named.toSorted((a, b) => (a.column_name < b.column_name ? -1 : 1)));
    }
  });

  const insert = (changes: Record<string, unknown>) => {
    const row = {
      id: '0b0f3a52-9b57-4b3c-8f3e-2f7f6c1f0001',
      order_id: 'A',
      account: '0b0f3a52-9b57-4b3c-8f3e-2f7f6c1f0002',
      currency: 'RUB',
      amount: '1.00',
      service: 's',
      number_masked: '*',
      status: 'queued',
      key_id: 'k',
      number_fingerprint: Buffer.alloc(1),
      content_fingerprint: Buffer.alloc(1),
      ...changes,
    };
    const marks = Object.keys(row).map((_, i) => `$${i + 1}`);
    return unprotected(
      database.pool,
      `INSERT INTO alikassa_payouts (${Object.keys(row).join(', ')}) VALUES (${marks.join(', ')})`,
      Object.values(row),
    );
  };

  it('let the database itself refuse what must not be', async () => {
    await insert({});
    await expect(insert({ id: '0b0f3a52-9b57-4b3c-8f3e-2f7f6c1f0003' })).rejects.toThrow(
      'alikassa_payouts_order_id_key',
    );
    await expect(insert({ status: 'lost' })).rejects.toThrow('status_check');
    await expect(insert({ amount: '0' })).rejects.toThrow('amount_check');
    await expect(insert({ status: 'sending' })).rejects.toThrow('check');
    await expect(insert({ status: 'paid' })).rejects.toThrow('check');
  });
});
