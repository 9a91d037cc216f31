import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { eventually } from './until.js';

const CLI = resolve('dist/src/app/cli.js');

/** The reference application as a process of its own. */
export interface ServiceProcess {
  url: string;
  /** All that it has written to standard output and standard error. */
  output(): string;
  /** Sends the signal and waits for the end. @returns the exit code, or the signal that ended it. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts `alikassa serve` with nothing but this environment, and waits until it listens. */
export async function startService(env: Record<string, string>, folder: string): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [CLI, 'serve'], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  let end: number | NodeJS.Signals | undefined;
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once('exit', (code, signal) => done((end = signal ?? code ?? 0)));
  });
  const url = `http://127.0.0.1:${env.PORT}`;
  await eventually('the service listens', async () => {
    if (end !== undefined) return true;
    return fetch(url).then(() => true);
  });
  if (end !== undefined) throw new Error(`The service ended (${end}) before it listened:\n${output}`);
  return {
    url,
    output: () => output,
    kill: async (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}
