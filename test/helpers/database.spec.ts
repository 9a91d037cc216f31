import pg from 'pg';
import { createTestDatabase } from './database.js';

describe('a test database', () => {
  it('is migrated, and nobody else sees what is written to it', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    await one.pool.query('CREATE TABLE mine (id int)');
    expect((await one.pool.query('SELECT * FROM alikassa_payouts')).rowCount).toBe(0);
    await expect(two.pool.query('SELECT * FROM mine')).rejects.toThrow('does not exist');
    await Promise.all([one.drop(), two.drop()]);
  });

  it('fails the test that leaves a connection open', async () => {
    const database = await createTestDatabase();
    const leak = new pg.Client({ connectionString: database.url, application_name: 'leak' });
    leak.on('error', () => undefined);
    await leak.connect();
    await expect(database.drop()).rejects.toThrow(/left open:\nleak/);
  });
});
