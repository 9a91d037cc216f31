import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { alikassaMigrations } from '../../migrations/index.js';
import { alikassaEntities } from '../../src/alikassa.module.js';
import type { EncryptionKey } from '../../src/alikassa.options.js';
import {
  prepare,
  startApplication,
  type TestApplication,
  type TestSetup,
  type TestSurroundings,
} from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { payload } from '../helpers/payload.js';
import { unprotected } from '../helpers/unprotected.js';

const KEY = randomBytes(32).toString('base64');
const OTHER = randomBytes(32).toString('base64');
const ring = (...keys: [id: string, key: string][]): EncryptionKey[] => keys.map(([id, key]) => ({ id, key }));
/** All that the migrations made of the module's tables, beside their order. */
const SHAPE = `
  SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, identity_generation, '') AS line
    FROM information_schema.columns WHERE table_name LIKE 'alikassa%'
  UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'alikassa%'
  UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'alikassa%'
  UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'alikassa%' AND NOT tgisinternal
  UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'alikassa%'
  ORDER BY 1`;

let around: TestSurroundings;
let running: TestApplication | undefined;
beforeEach(async () => {
  around = await prepare();
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await around.stop();
});

async function start(setup: TestSetup = {}): Promise<TestApplication> {
  await running?.stop();
  running = undefined;
  const options = { worker: { enabled: false }, ...setup.options };
  running = await startApplication({ surroundings: around, ...setup, options });
  return running;
}
const startWith = (...encryptionKeys: [string, string][]) =>
  start({ options: { encryptionKeys: ring(...encryptionKeys) } });
const create = async () => running!.payouts.create(payload() as never);
const shape = async (): Promise<unknown[]> => (await around.database.pool.query(SHAPE)).rows;

describe('a host whose DataSource changes the schema', () => {
  it('118: synchronize: true -> tables, triggers and defaults of the module are untouched', async () => {
    const before = await shape();
    await start({ dataSource: { url: around.database.adminUrl, synchronize: true } });
    const { id } = await create();
    const dataSource = running!.app.get(DataSource);
    // As `schema:log` and `migration:generate` see it.
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query)).toEqual([]);
    await dataSource.synchronize();
    expect(await shape()).toEqual(before);
    expect(await running!.payouts.find(id)).toMatchObject({ id });
  });

  it('synchronize without migrations does not start', async () => {
    await around.database.pool.query('DROP TABLE alikassa_keys');
    const dataSource = { url: around.database.adminUrl, synchronize: true };
    await expect(start({ dataSource })).rejects.toThrow('dataSource: lacks tables of the module');
  });

  it('dropSchema stops the start where real money is paid', async () => {
    const dataSource = {
      url: around.database.adminUrl,
      dropSchema: true,
      migrations: alikassaMigrations,
      migrationsRun: true,
    };
    const options = { baseUrl: 'https://pay.example.com' };
    await expect(start({ dataSource, options })).rejects.toThrow('dataSource: has dropSchema: true');
  });

  it('dropSchema with migrationsRun makes the tables as migrated, every time', async () => {
    const database = await createTestDatabase();
    const of = async (): Promise<unknown[]> => (await database.pool.query(SHAPE)).rows;
    const before = await of();
    for (let time = 0; time < 2; time++) {
      const dataSource = await new DataSource({
        type: 'postgres',
        url: database.adminUrl,
        entities: alikassaEntities,
        migrations: alikassaMigrations,
        migrationsTableName: 'alikassa_migrations',
        dropSchema: true,
        migrationsRun: true,
      }).initialize();
      await dataSource.destroy();
      expect(await of()).toEqual(before);
    }
    await database.drop();
  });
});

describe('a ring', () => {
  const REFUSED = 'encryptionKeys: the key "k" has other bytes than payouts';
  const forget = () => around.database.pool.query('DELETE FROM alikassa_keys');
  const erase = () => unprotected(around.database.pool, 'UPDATE alikassa_payouts SET recipient_ciphertext = NULL');

  it('153: other bytes under the key id of the ring -> refused at the start, not a conflict', async () => {
    await startWith(['k', KEY]);
    await create();
    await expect(startWith(['k', OTHER])).rejects.toThrow(REFUSED);
    await expect(startWith(['new', OTHER], ['k', OTHER])).rejects.toThrow(REFUSED);
    await startWith(['new', OTHER], ['k', KEY]);
    // Erased rows too: their fingerprints are compared with.
    await erase();
    await expect(startWith(['k', OTHER])).rejects.toThrow(REFUSED);
    await startWith(['k', KEY]);
  });

  it('is compared with rows from before its value was kept', async () => {
    await startWith(['k', KEY]);
    for (let count = 0; count < 3; count++) await create();
    await forget();
    await expect(startWith(['k', OTHER])).rejects.toThrow(REFUSED);
    // One row that was changed says nothing of the key.
    await unprotected(
      around.database.pool,
      `UPDATE alikassa_payouts SET recipient_ciphertext = '\\x00' WHERE seq = (SELECT max(seq) FROM alikassa_payouts)`,
    );
    await startWith(['k', KEY]);
    await expect(startWith(['k', OTHER])).rejects.toThrow(REFUSED);
  });

  it('of two processes that begin together on an empty database is the same', async () => {
    const ways = await Promise.allSettled(
      [KEY, OTHER].map((key) =>
        startApplication({
          surroundings: around,
          options: { worker: { enabled: false }, encryptionKeys: ring(['k', key]) },
        }),
      ),
    );
    expect(ways.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    for (const way of ways) if (way.status === 'fulfilled') await way.value.stop();
  });

  it('of another instance may have other bytes under the id', async () => {
    await around.database.pool.query("INSERT INTO alikassa_keys VALUES ('second', 'k', 'other')");
    await startWith(['k', KEY]);
    expect(await create()).toMatchObject({ status: 'queued' });
  });
});
