import { DataSource } from 'typeorm';
import type pg from 'pg';
import { dataSourceOptions, migrateDown, migrateUp } from '../../src/app/database.js';
import { addSweepJobSql, type JobQueue } from '../../src/payouts/payout.queue.js';
import { createWorkerPool } from '../../src/worker/worker.pool.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { meanwhile } from '../helpers/database.locks.js';
import { guideSql } from '../helpers/least.privilege.js';

const SETTINGS = ['lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout'];
const EXPECTED = ['5s', '10s', '10s'];
const QUEUE: JobQueue = { schema: 'alikassa_worker', tasks: { submit: 's', check: 'c', deliver: 'd', sweep: 'sweep' } };

let database: TestDatabase;
let service: DataSource;
let worker: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  // The superuser has no timeouts of his own: what is seen is what the application asks for.
  service = await new DataSource(dataSourceOptions(database.adminUrl)).initialize();
  worker = createWorkerPool(host(), 2);
});
afterAll(async () => {
  await worker.end();
  await service.destroy();
  await database.drop();
});

/** A host's DataSource, never connected: the worker connects by its settings. */
const host = (extra?: object): DataSource => new DataSource({ type: 'postgres', url: database.adminUrl, extra });

async function shown(pool: pg.Pool): Promise<unknown[]> {
  const settings = SETTINGS.map((name) => `current_setting('${name}') AS ${name}`).join(', ');
  const { rows } = await pool.query<Record<string, string>>(`SELECT ${settings}`);
  return SETTINGS.map((name) => rows[0]?.[name]);
}
const stateOf = (error: unknown): unknown => (error as { code: unknown }).code;

describe('timeouts', () => {
  it('are what the worker asks for', async () => {
    expect(await shown(worker)).toEqual(EXPECTED);
  });

  it('are what the reference application asks for', async () => {
    const answers = await Promise.all(SETTINGS.map((name) => service.query<Record<string, string>[]>(`SHOW ${name}`)));
    expect(answers.map(([row]) => Object.values(row ?? {})[0])).toEqual(EXPECTED);
  });

  it("are what the guide sets for the application's role", () => {
    const roles = guideSql('roles');
    const values = SETTINGS.map((name) => new RegExp(`alikassa_app SET ${name} = '(.*)'`).exec(roles)?.[1]);
    expect(values).toEqual(EXPECTED);
  });

  it("are the host's where its DataSource names others", async () => {
    const pool = createWorkerPool(host({ lock_timeout: 300, statement_timeout: 0 }), 1);
    expect(await shown(pool)).toEqual(['300ms', '0', '10s']);
    await pool.end();
  });

  it('stand beside commits that wait for no disk, of the engine alone and unless the host says otherwise', async () => {
    const durable = createWorkerPool(host({ options: '' }), 1);
    const answers = await Promise.all([worker, durable].map((pool) => pool.query<object>('SHOW synchronous_commit')));
    const [own] = await service.query<object[]>('SHOW synchronous_commit');
    expect([...answers.map(({ rows }) => rows[0]), own].map((row) => Object.values(row ?? {})[0])).toEqual([
      'off',
      'on',
      'on',
    ]);
    await durable.end();
  });

  it('give up a lock that somebody keeps, with its own SQLSTATE', async () => {
    const locks = ['LOCK TABLE alikassa_worker._private_tasks, alikassa_payouts IN ACCESS EXCLUSIVE MODE'];
    const faults = await meanwhile(database.pool, locks, () =>
      Promise.all([
        worker.query(addSweepJobSql(QUEUE)).catch(stateOf),
        service.query('SELECT 1 FROM alikassa_payouts').catch(stateOf),
      ]),
    );
    expect(faults).toEqual(['55P03', '55P03']);
  });

  it('free what a session holds that idles in its transaction', async () => {
    const stuck = await worker.connect();
    const ended = new Promise((done) => stuck.once('error', done));
    await stuck.query('BEGIN');
    await stuck.query('LOCK TABLE alikassa_payouts IN ACCESS EXCLUSIVE MODE');
    // Waits without a timeout of its own.
    await database.pool.query('SELECT 1 FROM alikassa_payouts');
    expect(stateOf(await ended)).toBe('25P03');
    stuck.release(true);
  });

  it('do not end a migration', async () => {
    await database.pool.query(`
      CREATE TABLE seen (value text);
      CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO seen SELECT current_setting('statement_timeout'); END $$;
      CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()`);
    await migrateDown(database.adminUrl);
    await migrateUp(database.adminUrl, 'alikassa_worker');
    expect((await database.pool.query('SELECT DISTINCT value FROM seen')).rows).toEqual([{ value: '0' }]);
  });
});
