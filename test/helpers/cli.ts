import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

const CLI = resolve('dist/src/app/cli.js');

/** Runs the built command as a process of its own, with nothing but this environment, away from any `.env`. */
export function alikassa(
  args: string[],
  settings: Readonly<Record<string, string | undefined>> = {},
  input = '',
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    const options = { cwd: tmpdir(), env: { PATH: process.env.PATH ?? '', ...settings } };
    const child = execFile(process.execPath, [CLI, ...args], options, (error, out, err) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
    child.stdin?.end(input);
  });
}
