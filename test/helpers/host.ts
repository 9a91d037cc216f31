import { fork } from 'node:child_process';
import { resolve } from 'node:path';
import type { AliKassaOptions } from '../../src/alikassa.options.js';

export interface HostSetup {
  databaseUrl: string;
  port: number;
  /** Keys as text: the options travel as JSON. */
  options: AliKassaOptions;
  /** Whether it has a handler for `paid`, which writes into the table `handled`. Default false. */
  hasHandler?: boolean;
  /** Program that is started in place of Node, with Node's path and arguments as its own. */
  wrapper?: string;
  /** Working directory; this one by default. */
  cwd?: string;
  /** Variables besides PATH. */
  env?: Record<string, string>;
}

export interface HostProcess {
  pid: number;
  url: string;
  /** Sends the signal and, unless it only stops or continues the process, waits for its end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
  /** What it has printed so far. */
  output(): string;
}

/**
 * A whole application as a process of its own, on the built package: what is killed here is a real process.
 * @throws Error with its output if it ends before it listens.
 */
export async function startHostProcess({ cwd, env, wrapper, ...setup }: HostSetup): Promise<HostProcess> {
  const child = fork(resolve('test/helpers/host.process.mjs'), {
    env: { PATH: process.env.PATH, ...env, ALIKASSA_TEST_HOST: JSON.stringify(setup) },
    execArgv: [],
    ...(cwd ? { cwd } : {}),
    ...(wrapper ? { execPath: wrapper } : {}),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once('exit', (code, signal) => done(signal ?? code ?? 0));
  });
  await Promise.race([
    new Promise((done) => child.once('message', done)),
    ended.then((how) => {
      throw new Error(`The host process ended (${how}) before it listened:\n${output}`);
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${setup.port}`,
    ended,
    output: () => output,
    kill: async (signal) => {
      child.kill(signal);
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await ended;
    },
  };
}
