import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';

type Module = typeof import('../../src/app/embedded-postgres.js');

declare global {
  // Shared with the teardown, which runs in the same process.
  var alikassaTestPostgres: { stop(): Promise<void> } | undefined;
}

/** One real Postgres for the whole run, in a temporary folder; every test file has a database of its own on it. */
export default async function globalSetup(): Promise<void> {
  // A server of the caller's, e.g. of another version (test/postgres).
  if (process.env.ALIKASSA_TEST_SERVER_URL) return;
  const folder = await mkdtemp(join(tmpdir(), 'alikassa-test-'));
  // As root the server runs as another user, which must be able to reach its folder.
  await chmod(folder, 0o711);
  // Jest loads this file without its module mapper, so the built module serves.
  const { startEmbeddedPostgres } = (await import(resolve('dist/src/app/embedded-postgres.js'))) as Module;
  const start = () => startEmbeddedPostgres({ folder, database: 'test', durable: false });
  const fresh = await start();
  await prepareForTests(fresh.url);
  await fresh.stop();
  const server = await start();
  process.env.ALIKASSA_TEST_SERVER_URL = server.url;
  globalThis.alikassaTestPostgres = {
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Allows as many connections as all test files that run at once need, whose applications have pools of their own, and shows
 * whole statements in pg_stat_activity. Holds from the next start on.
 */
async function prepareForTests(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query('ALTER SYSTEM SET max_connections = 400');
  await client.query("ALTER SYSTEM SET track_activity_query_size = '16kB'");
  await client.end();
}
