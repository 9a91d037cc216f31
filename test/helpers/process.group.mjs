import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '../../dist/src/app/embedded-postgres.js';

/** A process that ends when its parent lets go of it has this long; profiles are written meanwhile. */
const END_MS = 5_000;

/** A temporary folder, a Postgres of its own in it, and the processes of one run: all of them end with it. */
export class ProcessGroup {
  children = [];

  /** @param {string} name of the folder, for whoever finds it. */
  constructor(name) {
    this.name = name;
  }

  async openFolder() {
    this.folder ??= await mkdtemp(join(tmpdir(), `alikassa-${this.name}-`));
    // As root the server runs as another user, which must be able to reach its folder.
    await chmod(this.folder, 0o711);
  }

  /** Durable, as every Postgres is by default. */
  async startPostgres(database) {
    await this.openFolder();
    this.server = await startEmbeddedPostgres({ folder: this.folder, database });
    return this.server;
  }

  /**
   * Starts a Node program; its output goes to a file of the folder.
   * @param {URL} file
   * @param {string} variable the environment variable that carries `setup` as JSON.
   * @param {import('node:child_process').ForkOptions} options
   */
  fork(file, variable, setup, { env = {}, ...options } = {}) {
    const path = fileURLToPath(file);
    const log = join(this.folder, `${basename(path)}.${this.children.length}.log`);
    const out = openSync(log, 'w');
    const child = fork(path, {
      execArgv: [],
      ...options,
      env: { PATH: process.env.PATH, ...env, [variable]: JSON.stringify(setup) },
      stdio: ['ignore', out, out, 'ipc'],
    });
    closeSync(out);
    child.log = log;
    this.children.push(child);
    return child;
  }

  /** Leaves no process behind, whatever has happened. */
  async end() {
    await Promise.all(this.children.map((child) => ended(child)));
    await this.server?.stop();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

/** Ends a process: by letting go of it, and by force if it does not obey. */
export async function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  if (child.connected) child.disconnect();
  await Promise.race([exit, sleep(END_MS, undefined, { ref: false })]);
  child.kill('SIGKILL');
  await exit;
}

/** What the process says next. @throws Error with the end of its output if it ends instead. */
export async function said(child) {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(async ([code]) => {
        const output = child.log ? await readFile(child.log, 'utf8').catch(() => '') : '';
        throw new Error(`a process ended with ${code}: ${child.spawnargs.at(-1)}\n${output.trim().slice(-1_500)}`);
      }),
    ]);
  } finally {
    stop.abort();
  }
}
