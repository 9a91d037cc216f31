import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/app/embedded-postgres.js';
import { freePort } from '../../src/app/free.port.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { eventually } from './until.js';

export interface PostgresServer {
  url: string;
  /** Holds its data, below `data`. */
  folder: string;
  /** A migrated database on it. */
  createDatabase(): Promise<TestDatabase>;
  /** Ends it in good order: every session is told (57P01), the data is on disk. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
  /** SIGKILL of the postmaster: nobody is told anything. */
  crash(): Promise<void>;
  /** SIGKILL of one backend: the postmaster ends all others (57P02) and recovers. */
  crashBackend(pid: number): void;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/**
 * A Postgres of the test's own, to be stopped and killed.
 * @param folder that holds its data already; by default a new one.
 */
export async function startPostgresServer(folder?: string): Promise<PostgresServer> {
  return serverIn(folder ?? (await serverFolder()));
}

/** A folder that the server's user can reach: as root it runs as another one. */
export async function serverFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'alikassa-server-'));
  await chmod(folder, 0o711);
  return folder;
}

async function serverIn(folder: string): Promise<PostgresServer> {
  // Given, so that it is the same after a restart.
  const port = await freePort();
  const start = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ folder, database: 'test', durable: false, port });
  let server: EmbeddedPostgres | undefined = await start();
  const { url } = server;
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  return {
    url,
    folder,
    createDatabase: () => createTestDatabase(url),
    stop,
    start: async () => {
      // What a killed postmaster left behind may hold the data for a moment.
      server ??= await eventually('the server starts', start);
    },
    crash: async () => {
      if (!server) return;
      const [pid] = (await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8')).split('\n');
      process.kill(Number(pid), 'SIGKILL');
      await stop();
    },
    crashBackend: (pid) => void process.kill(pid, 'SIGKILL'),
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
