import { fork } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const HOST = fileURLToPath(new URL('../helpers/host.process.mjs', import.meta.url));
const RESTART_MS = 300;
/** The product says so of an attempt that was stopped between its claim and its first byte. */
const HELD_UP = 'was held up past its lease and was not sent';
const END_MS = 20_000;

/** One application process, started again whenever it ends, as an operating system's supervisor does it. */
export class Host {
  /** `starting`, `up`, `frozen` or `down`. */
  state = 'down';
  /** Ends after it listened that nobody here has caused. */
  crashes = [];
  starts = 0;
  /** Attempts that were not sent since their claim did not hold any more. */
  heldUp = 0;
  isWanted = true;

  constructor(name, port, databaseUrl, options, folder) {
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.environment = {
      PATH: process.env.PATH,
      ALIKASSA_TEST_HOST: JSON.stringify({ databaseUrl, port, options, hasHandler: true }),
    };
    this.logPath = join(folder, `${name}.log`);
    this.log = createWriteStream(this.logPath);
  }

  start() {
    const child = fork(HOST, { env: this.environment, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.log.write(chunk);
        this.heldUp += String(chunk).split(HELD_UP).length - 1;
        said = (said + chunk).slice(-2_000);
      });
    }
    this.child = child;
    this.state = 'starting';
    this.isKilled = false;
    this.starts += 1;
    child.once('message', () => {
      if (this.child === child && this.state === 'starting') this.state = 'up';
    });
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const wasUp = this.state !== 'starting';
        this.state = 'down';
        // A start may fail while Postgres is away: the host of the tests does not wait for it.
        if (!this.isKilled && wasUp) this.crashes.push(`${this.name} ended (${signal ?? code}): ${said.trim()}`);
        this.log.write(`-- ended: ${signal ?? code}\n`);
        if (this.isWanted) setTimeout(() => this.isWanted && this.start(), RESTART_MS);
        resolve();
      });
    });
  }

  kill() {
    this.isKilled = true;
    this.child?.kill('SIGKILL');
  }

  freeze() {
    this.state = 'frozen';
    this.child?.kill('SIGSTOP');
  }

  thaw() {
    if (this.state !== 'frozen') return;
    this.state = 'up';
    this.child?.kill('SIGCONT');
  }

  /** Whether it answers a request that reads the database. */
  async answers() {
    const signal = AbortSignal.timeout(5_000);
    return fetch(`${this.url}/alikassa/payouts?limit=1`, { signal }).then(
      async (response) => (await response.text()).length > 0 && response.status === 200,
      () => false,
    );
  }

  /** Ends it by SIGTERM. @returns whether it obeyed. */
  async end() {
    this.isWanted = false;
    this.thaw();
    this.isKilled = true;
    if (this.state === 'down') return true;
    this.child?.kill('SIGTERM');
    const isEnded = await Promise.race([this.ended.then(() => true), sleep(END_MS, false, { ref: false })]);
    if (!isEnded) this.child?.kill('SIGKILL');
    await this.ended;
    return isEnded;
  }
}
