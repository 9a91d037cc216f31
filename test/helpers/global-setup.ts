// Jest loads this file without its module mapper, hence the ending.
import { startPostgres, type TestPostgres } from './postgres.ts';

declare global {
  // Shared with the teardown, which runs in the same process.
  var alikassaTestPostgres: TestPostgres | undefined;
}

/** One server for the whole run; every test file has a database of its own on it. */
export default async function globalSetup(): Promise<void> {
  globalThis.alikassaTestPostgres = await startPostgres();
  process.env.ALIKASSA_TEST_SERVER_URL = globalThis.alikassaTestPostgres.url;
}
