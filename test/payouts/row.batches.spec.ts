import { jest } from '@jest/globals';
import { RowBatches, type ResultRow, type RowStatement } from '../../src/payouts/row.batches.js';
import { startStore, type TestStore } from '../helpers/store.js';

const COLUMNS = [
  { name: 'name', type: 'text' },
  { name: 'size', type: 'integer' },
];
const write: RowStatement = {
  columns: COLUMNS,
  sql: `, written AS (INSERT INTO things SELECT * FROM wanted WHERE size > 0 RETURNING *)
    SELECT name AS "theName", size, (SELECT count(*)::int FROM wanted) AS asked, pg_current_xact_id()::text AS at FROM written`,
  key: 'theName',
  isWrite: true,
};
const read: RowStatement = {
  columns: COLUMNS,
  sql: ' SELECT name, things.size FROM wanted JOIN things USING (name)',
  key: 'name',
  isWrite: false,
};

describe('RowBatches', () => {
  let test: TestStore;
  let batches: RowBatches;
  beforeAll(async () => {
    test = await startStore();
    batches = new RowBatches(test.dataSource);
    await test.database.pool.query('CREATE TABLE things (name text PRIMARY KEY, size integer CHECK (size < 100))');
  });
  afterAll(async () => test.stop());
  beforeEach(async () => void (await test.database.pool.query('TRUNCATE things')));

  const all = (statement: RowStatement, ...rows: unknown[][]): Promise<(ResultRow | undefined)[]> =>
    Promise.all(rows.map((values) => batches.run(statement, values)));
  const things = async (): Promise<unknown[]> =>
    (await test.database.pool.query('SELECT name, size FROM things ORDER BY name')).rows;

  it('gives each its own row of one statement, and nothing to those it says nothing of', async () => {
    const [a, none, c] = await all(write, ['a', 1], ['b', 0], ['c', 3]);
    expect(a).toMatchObject({ theName: 'a', size: 1, asked: 3 });
    expect(c).toMatchObject({ theName: 'c', size: 3, at: a?.['at'] });
    expect(none).toBeUndefined();
  });

  it('does one statement for each text', async () => {
    await all(write, ['a', 1]);
    const [written, seen] = await Promise.all([batches.run(write, ['b', 2]), batches.run(read, ['a', null])]);
    expect([written, seen]).toMatchObject([{ asked: 1 }, { name: 'a', size: 1 }]);
  });

  it('writes the first of those with the same key, and answers no other', async () => {
    const [first, second] = await all(write, ['a', 1], ['a', 2]);
    expect([first, second]).toMatchObject([{ size: 1, asked: 1 }, undefined]);
    expect(await things()).toEqual([{ name: 'a', size: 1 }]);
  });

  it('answers all who read the same', async () => {
    await all(write, ['a', 1]);
    expect(await all(read, ['a', null], ['a', null])).toEqual([
      { name: 'a', size: 1 },
      { name: 'a', size: 1 },
    ]);
  });

  it('takes what is not given for null', async () => {
    await all(write, ['a', undefined], ['b', 1]);
    expect(await things()).toEqual([{ name: 'b', size: 1 }]);
  });

  it('does each alone where Postgres refuses one, which gets its error', async () => {
    const results = await Promise.allSettled([
      batches.run(write, ['a', 1]),
      batches.run(write, ['b', 100]),
      batches.run(write, ['c', 3]),
    ]);
    expect(results).toMatchObject([{ value: { asked: 1 } }, { reason: { code: '23514' } }, { value: { asked: 1 } }]);
    expect(await things()).toEqual([
      { name: 'a', size: 1 },
      { name: 'c', size: 3 },
    ]);
  });

  it('is alone in the transaction of a manager', async () => {
    const work = test.dataSource.transaction(async (manager) => {
      const rows = await Promise.all([batches.run(write, ['a', 1], manager), batches.run(write, ['b', 2])]);
      expect(rows).toMatchObject([{ asked: 1 }, { asked: 1 }]);
      throw new Error('rolled back');
    });
    await expect(work).rejects.toThrow('rolled back');
    expect(await things()).toEqual([{ name: 'b', size: 2 }]);
  });

  it('shares with others through a manager that has no transaction', async () => {
    const { manager } = test.dataSource;
    const rows = await Promise.all([batches.run(write, ['a', 1], manager), batches.run(write, ['b', 2])]);
    expect(rows).toMatchObject([{ asked: 2 }, { asked: 2 }]);
  });

  it('uses the index also by a plan that was made while the table was small', async () => {
    const sent = jest.spyOn(test.dataSource.logger, 'logQuery');
    await batches.run(read, ['a', null]);
    const client = await test.database.pool.connect();
    const explain = async () => {
      await client.query('SET plan_cache_mode = force_generic_plan');
      await client.query(`PREPARE find AS ${sent.mock.lastCall?.[0]}`);
      return client.query<{ 'QUERY PLAN': string }>("EXPLAIN EXECUTE find ('{a}', '{1}', 1)");
    };
    const { rows } = await explain().finally(() => client.release(true));
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('Index Scan');
  });
});
