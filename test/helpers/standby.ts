import { execFile } from 'node:child_process';
import { appendFile, chown, cp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { serverFolder, startPostgresServer, type PostgresServer } from './postgres.server.js';
import { eventually } from './until.js';

const run = promisify(execFile);

export interface Standby extends PostgresServer {
  /** Waits until it has what the primary has written until now. */
  untilCaughtUp(): Promise<void>;
  /** Takes nothing from the primary any more, as if the network between them were gone. */
  fallBehind(): Promise<void>;
  promote(): Promise<void>;
}

/** A copy of a running server's data in a folder of its own, as `pg_basebackup` makes one. @returns the folder. */
async function baseBackup(primary: PostgresServer): Promise<string> {
  const folder = await serverFolder();
  const data = join(folder, 'data');
  await cp(join(primary.folder, 'password'), join(folder, 'password'));
  const client = await connected(primary.url);
  try {
    const { rows: versions } = await client.query<{ major: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS major",
    );
    const isOld = (versions[0]?.major ?? 0) < 15;
    await client.query(isOld ? "SELECT pg_start_backup('copy', true, false)" : "SELECT pg_backup_start('copy', true)");
    // With its owner, which is the server's user.
    await run('cp', ['-a', join(primary.folder, 'data'), data]);
    const { rows } = await client.query<{ label: string }>(
      `SELECT labelfile AS label FROM ${isOld ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'}`,
    );
    await writeOwned(data, 'backup_label', rows[0]?.label ?? '');
  } finally {
    await client.end();
  }
  await rm(join(data, 'postmaster.pid'), { force: true });
  return folder;
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
  const folder = await baseBackup(primary);
  const { port, password } = new URL(primary.url);
  const conninfo = `host=127.0.0.1 port=${port} user=postgres password=${password}`;
  await appendFile(join(folder, 'data', 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  await writeOwned(join(folder, 'data'), 'standby.signal', '');
  const server = await startPostgresServer(folder);
  return {
    ...server,
    untilCaughtUp: async () => {
      const lsn = (await one<{ lsn: string }>(primary.url, 'SELECT pg_current_wal_lsn() AS lsn')).lsn;
      await eventually('the standby has caught up', async () => {
        const sql = `SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS is_there`;
        return (await one<{ is_there: boolean }>(server.url, sql)).is_there;
      });
    },
    fallBehind: async () => {
      await one(server.url, "ALTER SYSTEM SET primary_conninfo = ''");
      await one(server.url, 'SELECT pg_reload_conf()');
      await eventually('the standby takes no more', async () => {
        const { count } = await one<{ count: number }>(server.url, 'SELECT count(*)::int FROM pg_stat_wal_receiver');
        return count === 0;
      });
    },
    promote: async () => void (await one(server.url, 'SELECT pg_promote(true)')),
  };
}

/** The first row of a statement on a connection of its own. */
export async function one<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row> {
  const client = await connected(url);
  try {
    return (await client.query<Row>(sql)).rows[0] as Row;
  } finally {
    await client.end();
  }
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** A file that belongs to the owner of the folder. */
async function writeOwned(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  const { uid, gid } = await stat(folder);
  await writeFile(path, text, { mode: 0o600 });
  await chown(path, uid, gid);
}
