import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { serverFolder, startPostgresServer, type PostgresServer } from './postgres.server.js';
import { copyAsStandby, fallBehind, promote, untilCaughtUp } from './replication.mjs';

export { one } from './replication.mjs';

const run = promisify(execFile);

export interface Standby extends PostgresServer {
  /** Waits until it has what the primary has written until now. */
  untilCaughtUp(): Promise<void>;
  /** Takes nothing from the primary any more, as if the network between them were gone. */
  fallBehind(): Promise<void>;
  promote(): Promise<void>;
}

/** A copy of a server's files, made while it stands still, as a snapshot of its disk. @returns the folder. */
export async function coldCopy(server: PostgresServer): Promise<string> {
  const folder = await serverFolder();
  await server.stop();
  await run('cp', ['-a', `${server.folder}/.`, folder]);
  await server.start();
  return folder;
}

/** A hot standby that follows the primary. */
export async function startStandby(primary: PostgresServer): Promise<Standby> {
  const folder = await serverFolder();
  await copyAsStandby(primary, folder);
  const server = await startPostgresServer(folder);
  return {
    ...server,
    untilCaughtUp: () => untilCaughtUp(primary.url, server.url),
    fallBehind: () => fallBehind(server.url),
    promote: () => promote(server.url),
  };
}
