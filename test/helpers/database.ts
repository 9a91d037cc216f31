import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrateUp } from '../../src/app/database.js';
import { createRestrictedDatabase } from './least.privilege.js';

const TEMPLATE = 'alikassa_template';
const LEAK_GRACE_MS = 2_000;
/** Clones of one template exclude each other; the lock makes parallel test files wait rather than fail. */
const CLONE_LOCK = 4_711;

export interface TestDatabase {
  /** As the application connects. */
  url: string;
  /** As a superuser, who may also change the schema; the same as `url` unless privileges are restricted. */
  adminUrl: string;
  /** A superuser's. */
  pool: pg.Pool;
  /** Removes the database. @throws Error if a connection to it was left open. */
  drop(): Promise<void>;
}

/**
 * A database of the caller's own, migrated: on the server that all tests share, or on another one.
 * @param isRestricted the application connects as the role of docs/DATABASE.md, which may do no more than it must.
 */
export async function createTestDatabase(
  serverUrl = process.env.ALIKASSA_TEST_SERVER_URL,
  isRestricted = process.env.ALIKASSA_TEST_LEAST_PRIVILEGE === '1',
): Promise<TestDatabase> {
  if (!serverUrl) throw new Error('ALIKASSA_TEST_SERVER_URL is not set: run the tests through jest.config.js');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const adminUrl = serverUrl.replace(/[^/]*$/, name);
  const url = await onServer(serverUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [CLONE_LOCK]);
    if (isRestricted) return createRestrictedDatabase(client, serverUrl, name);
    await ensureTemplate(client, serverUrl);
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
    return adminUrl;
  });
  const pool = new pg.Pool({ connectionString: adminUrl, max: 5, application_name: 'test' });
  // A test may stop the server under it: the next query says so.
  pool.on('error', () => undefined);
  return {
    url,
    adminUrl,
    pool,
    drop: async () => {
      await pool.end();
      await onServer(serverUrl, (client) => dropDatabase(client, name));
    },
  };
}

/** The first test file that needs a database migrates the template; the name changes hands only once it is whole. */
async function ensureTemplate(client: pg.Client, serverUrl: string): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [TEMPLATE]);
  if (rowCount) return;
  const draft = `${TEMPLATE}_draft`;
  await client.query(`DROP DATABASE IF EXISTS ${draft}`);
  await client.query(`CREATE DATABASE ${draft}`);
  await migrateUp(serverUrl.replace(/[^/]*$/, draft), 'alikassa_worker');
  await client.query(`ALTER DATABASE ${draft} RENAME TO ${TEMPLATE}`);
}

async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  const deadline = Date.now() + LEAK_GRACE_MS;
  let leaks = await openConnections(client, name);
  while (leaks.length > 0 && Date.now() < deadline) {
    await sleep(50);
    leaks = await openConnections(client, name);
  }
  await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  if (leaks.length > 0) throw new Error(`Connections were left open:\n${leaks.join('\n')}`);
}

async function openConnections(client: pg.Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ application_name: string; query: string }>(
    'SELECT application_name, left(query, 120) AS query FROM pg_stat_activity WHERE datname = $1',
    [name],
  );
  return rows.map((row) => `${row.application_name || 'unnamed'}: ${row.query}`);
}

async function onServer<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
