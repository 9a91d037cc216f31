#!/usr/bin/env node
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AliKassaError } from '../alikassa.errors.js';
import { readEnvironment, type Environment } from './app.config.js';
import { packageVersion } from './package.version.js';

const HELP = `Payouts through AliKassa.

Usage: alikassa <command>

  serve           run the reference application; without ALIKASSA_ACCOUNTS as a sandbox,
                  with its own Postgres and a simulator of AliKassa
  demo            pay out the documented examples against the simulator, and check the results
  migrate         run the missing migrations on DATABASE_URL
  migrate --down  revert the last migration
  doctor          check configuration, keys, database, migrations and the provider
  keys generate   print a new key for ALIKASSA_ENCRYPTION_KEYS
  keys rotate     re-encrypt recipients' data under the first of ALIKASSA_ENCRYPTION_KEYS, while
                  payouts flow; may be stopped and run again (docs/KEYS.md)

  --help          show this
  --version       show the version

Settings come from the environment and from the file .env; .env.example explains each one.
Exit codes: 0 done, 1 failed, 2 wrong usage.`;

const EXIT_GRACE_MS = 3_000;

/** The user typed something that is not a command: exit code 2. */
class UsageError extends Error {}

type Command = (env: Environment, flags: { down: boolean }) => Promise<number>;

/** Loaded when asked for: `--help` needs neither Nest nor a database driver. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./commands/serve.js')).serve,
  demo: async () => (await import('./commands/demo.js')).demo,
  migrate: async () => (await import('./commands/migrate.js')).migrate,
  doctor: async () => (await import('./commands/doctor.js')).doctor,
  openapi: async () => (await import('./commands/openapi.js')).openapi,
  'keys generate': async () => (await import('./commands/keys.js')).generateKey,
  'keys rotate': async () => (await import('./commands/keys.js')).rotateKeys,
};

/**
 * Runs one command line.
 * @param args what follows the program's name.
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage.
 */
export async function main(args: string[]): Promise<number> {
  try {
    const { values, positionals } = parsed(args);
    if (values.help) {
      console.log(HELP);
      return 0;
    }
    if (values.version) {
      console.log(packageVersion());
      return 0;
    }
    const name = positionals.join(' ');
    if (name === '') throw new UsageError('a command is missing');
    const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (!load) throw new UsageError(`there is no command "${name}"`);
    if (values.down && name !== 'migrate') throw new UsageError(`"${name}" takes no --down`);
    const command = await load();
    return await command(readEnvironment(), { down: values.down ?? false });
  } catch (error) {
    return reported(error);
  }
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
        down: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'wrong usage');
  }
}

/** One sentence on standard error; a stack only for what nobody has foreseen. */
function reported(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`alikassa: ${error.message}; see alikassa --help`);
    return 2;
  }
  if (error instanceof AliKassaError || !(error instanceof Error)) {
    console.error(`alikassa: ${error instanceof Error ? error.message : 'failed for an unknown reason'}`);
  } else {
    console.error(`alikassa: ${error.stack ?? error.message}`);
  }
  return 1;
}

/** Whether Node was started with this file; npm starts it through a link. */
function isProgram(): boolean {
  const [, started] = process.argv;
  return started !== undefined && existsSync(started) && realpathSync(started) === fileURLToPath(import.meta.url);
}

if (isProgram()) {
  process.exitCode = await main(process.argv.slice(2));
  // Everything is closed by now. Should something still hold the process, it must not hang.
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
}
