import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { alikassaMigrations } from '../../migrations/index.js';
import { alikassaEntities } from '../alikassa.module.js';
import { ConfigurationError } from '../alikassa.errors.js';
import { DATABASE_TIMEOUTS } from '../payouts/database.timeouts.js';

const MIGRATIONS_TABLE = 'alikassa_migrations';
const CONNECT_TIMEOUT_MS = 5_000;
/** What to do about each way in which Postgres or the network turns a connection down. */
const MENDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; start Postgres, or mend host and port',
  ENOTFOUND: 'the host is not known; mend the host',
  EAI_AGAIN: 'the host cannot be looked up; check the network',
  ETIMEDOUT: 'the host does not answer; check host, port and firewall',
  '28P01': 'the user or the password is refused; mend them',
  '28000': 'the user is refused; mend the user, or its pg_hba.conf line',
  '3D000': 'the database does not exist; create it',
  '42501': 'the user lacks a privilege; grant it (docs/DATABASE.md)',
};

/** The connection of the reference application: entities and migrations of the module, no `synchronize`, no query log. */
export function dataSourceOptions(url: string, timeouts: object = DATABASE_TIMEOUTS): DataSourceOptions {
  return {
    type: 'postgres',
    url,
    entities: alikassaEntities,
    migrations: alikassaMigrations,
    migrationsTableName: MIGRATIONS_TABLE,
    migrationsTransactionMode: 'each',
    synchronize: false,
    logging: false,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    extra: timeouts,
  };
}

/** Runs what is missing: the module's migrations, then the job engine's. @returns the names of those that ran. */
export async function migrateUp(url: string, workerSchema: string): Promise<string[]> {
  const ran = await withDataSource(url, async (dataSource) => dataSource.runMigrations());
  await runMigrations({ connectionString: url, schema: workerSchema });
  return ran.map(({ name }) => name);
}

/** Reverts the last migration of the module; the job engine's stay. @returns its name, if there was one. */
export async function migrateDown(url: string): Promise<string | undefined> {
  return withDataSource(url, async (dataSource) => {
    const before = await appliedMigrations(url);
    await dataSource.undoLastMigration();
    const after = new Set(await appliedMigrations(url));
    return before.find((name) => !after.has(name));
  });
}

/** Asks the database for its version. @throws ConfigurationError with the mend. */
export async function checkDatabase(url: string): Promise<string> {
  const [row] = await query<{ version: string }>(url, `SELECT current_setting('server_version') AS version`);
  return `PostgreSQL ${row?.version}`;
}

/** @throws ConfigurationError if the database lacks a migration. */
export async function checkMigrations(url: string, workerSchema: string): Promise<string> {
  const applied = new Set(await appliedMigrations(url));
  const missing = alikassaMigrations.map(({ name }) => name).filter((name) => !applied.has(name));
  if (missing.length > 0) {
    throw new ConfigurationError('DATABASE_URL', `the database lacks ${missing.join(', ')}; run "alikassa migrate"`);
  }
  const [row] = await query<{ found: boolean }>(url, 'SELECT to_regclass($1) IS NOT NULL AS found', [
    `${workerSchema}.migrations`,
  ]);
  if (!row?.found) {
    throw new ConfigurationError(
      'DATABASE_URL',
      `the job engine's schema ${workerSchema} is missing; run "alikassa migrate"`,
    );
  }
  return `${applied.size} applied, job engine in ${workerSchema}`;
}

async function appliedMigrations(url: string): Promise<string[]> {
  const [table] = await query<{ found: boolean }>(url, 'SELECT to_regclass($1) IS NOT NULL AS found', [
    MIGRATIONS_TABLE,
  ]);
  if (!table?.found) return [];
  const rows = await query<{ name: string }>(url, `SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY id`);
  return rows.map(({ name }) => name);
}

/** One statement on a connection of its own. @throws ConfigurationError with the mend. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // A connection lost between two calls is reported by the next call.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql, values)).rows;
  } catch (error) {
    throw databaseFault(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs `work` on a connection of the reference application, and closes it. @throws ConfigurationError with the mend. */
export async function withDataSource<T>(url: string, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  // A migration may take its time, e.g. for an index.
  const dataSource = new DataSource(dataSourceOptions(url, {}));
  try {
    await dataSource.initialize();
  } catch (error) {
    throw databaseFault(error);
  }
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

/** One sentence with the mend. The address stays out of it: it holds the password. */
function databaseFault(error: unknown): ConfigurationError {
  const { code = '', message } = firstOf(error);
  const reason = MENDS[code] ?? (/timeout/i.test(message) ? MENDS.ETIMEDOUT : undefined) ?? message;
  return new ConfigurationError('DATABASE_URL', `the database cannot be used: ${reason}${code ? ` (${code})` : ''}`);
}

/** A host of several addresses fails with one error for each. */
function firstOf(error: unknown): { code?: string; message: string } {
  const source: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(source instanceof Error)) return { message: 'unknown error' };
  return { message: source.message, code: (source as NodeJS.ErrnoException).code };
}
