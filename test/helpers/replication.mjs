import { execFile } from 'node:child_process';
import { appendFile, chown, cp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
const WAIT_MS = 20_000;

/** Copies a running server's data, as `pg_basebackup` does, so that a server on the copy follows it as a hot standby. */
export async function copyAsStandby(primary, folder) {
  const data = join(folder, 'data');
  await cp(join(primary.folder, 'password'), join(folder, 'password'));
  const client = await connected(primary.url);
  try {
    const { rows: versions } = await client.query("SELECT current_setting('server_version_num')::int / 10000 AS major");
    const isOld = versions[0].major < 15;
    await client.query(isOld ? "SELECT pg_start_backup('copy', true, false)" : "SELECT pg_backup_start('copy', true)");
    // With its owner, which is the server's user.
    await copyLiving(join(primary.folder, 'data'), data);
    const { rows } = await client.query(
      `SELECT labelfile AS label FROM ${isOld ? 'pg_stop_backup(false, false)' : 'pg_backup_stop(false)'}`,
    );
    await writeOwned(data, 'backup_label', rows[0].label);
  } finally {
    await client.end();
  }
  await rm(join(data, 'postmaster.pid'), { force: true });
  const { port, password } = new URL(primary.url);
  const conninfo = `host=127.0.0.1 port=${port} user=postgres password=${password}`;
  // The last line counts: a server that was promoted before names its own primary yet.
  await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  await writeOwned(data, 'standby.signal', '');
}

/** Waits until the standby has what the primary has written until now. */
export async function untilCaughtUp(primaryUrl, standbyUrl) {
  const { lsn } = await one(primaryUrl, 'SELECT pg_current_wal_lsn() AS lsn');
  await untilTrue('the standby has caught up', standbyUrl, `SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS is_true`);
}

/** Lets the standby take nothing from the primary any more, as if the network between them were gone. */
export async function fallBehind(standbyUrl) {
  await one(standbyUrl, "ALTER SYSTEM SET primary_conninfo = ''");
  await one(standbyUrl, 'SELECT pg_reload_conf()');
  await untilTrue('the standby takes no more', standbyUrl, 'SELECT count(*) = 0 AS is_true FROM pg_stat_wal_receiver');
}

export async function promote(standbyUrl) {
  await one(standbyUrl, 'SELECT pg_promote(true)');
}

/** The first row of a statement on a connection of its own. */
export async function one(url, sql) {
  const client = await connected(url);
  try {
    return (await client.query(sql)).rows[0];
  } finally {
    await client.end();
  }
}

/** A file that goes while the folder is copied is none that the copy needs: the log of writing brings back what it held. */
async function copyLiving(from, to) {
  await run('cp', ['-a', from, to]).catch((error) => {
    const lines = String(error.stderr).trim().split('\n');
    if (!lines.every((line) => line.includes('No such file'))) throw error;
  });
}

async function untilTrue(fact, url, sql) {
  const deadline = performance.now() + WAIT_MS;
  while (!(await one(url, sql)).is_true) {
    if (performance.now() > deadline) throw new Error(`It did not come true within ${WAIT_MS / 1_000} s: ${fact}`);
    await sleep(20);
  }
}

async function connected(url) {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** A file that belongs to the owner of the folder. */
async function writeOwned(folder, name, text) {
  const path = join(folder, name);
  const { uid, gid } = await stat(folder);
  await writeFile(path, text, { mode: 0o600 });
  await chown(path, uid, gid);
}
