#!/usr/bin/env node
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AliKassaError } from '../alikassa.errors.js';
import { readEnvironment } from './app.config.js';
import { helpOf, helpOfAll } from './command.help.js';
import { FLAGS, UsageError, type CommandEntry, type CommandTable, type Flag } from './command.js';
import { packageVersion } from './package.version.js';

const EXIT_GRACE_MS = 3_000;

const COMMANDS: CommandTable = {
  serve: {
    summary:
      'run the reference application; without ALIKASSA_ACCOUNTS as a sandbox, with its own Postgres and a simulator of AliKassa',
    details: 'It serves the payouts under /alikassa, Swagger UI at /docs, and runs until SIGINT or SIGTERM.',
    load: async () => (await import('./commands/serve.js')).serve,
  },
  demo: {
    summary: 'pay out the documented examples against the simulator, and check the results',
    load: async () => (await import('./commands/demo.js')).demo,
  },
  migrate: {
    summary: "run the missing migrations on DATABASE_URL, the job engine's too",
    flag: 'down',
    load: async () => (await import('./commands/migrate.js')).migrate,
  },
  doctor: {
    summary: 'check configuration, keys, database, notifications and the provider, and say how to mend what is wrong',
    details: 'It changes nothing, and pays nothing. A line that begins with "warn" may be as it should be; read it.',
    load: async () => (await import('./commands/doctor.js')).doctor,
  },
  recover: {
    summary: 'ask the provider about every open payout of a database that went back, before any is sent',
    details:
      'After a restored backup or a failover; while no worker runs, or while they do (docs/operating.md). It may be stopped and run again.',
    flag: 'dry-run',
    load: async () => (await import('./commands/recover.js')).recover,
  },
  'keys generate': {
    summary: 'print a new key for ALIKASSA_ENCRYPTION_KEYS',
    load: async () => (await import('./commands/keys.js')).generateKey,
  },
  'keys rotate': {
    summary: "re-encrypt recipients' data under the first of ALIKASSA_ENCRYPTION_KEYS, while payouts flow",
    details: 'It may be stopped and run again (docs/KEYS.md).',
    load: async () => (await import('./commands/keys.js')).rotateKeys,
  },
  sign: {
    summary: 'print the Sign header of a request body, by the configured key',
    details: 'The very bytes of the file, or of standard input, are signed. Nothing is sent.',
    argument: '<file|->',
    load: async () => (await import('./commands/sign.js')).sign,
  },
  verify: {
    summary: "say what is right or wrong with a notification's query, step by step",
    details:
      'Takes the query as it arrived, undecoded, a URL that ends in it, or - for standard input. No value of it is shown.',
    argument: '<query|->',
    load: async () => (await import('./commands/verify.js')).verify,
  },
  openapi: {
    summary: 'print the OpenAPI document of the endpoints',
    load: async () => (await import('./commands/openapi.js')).openapi,
  },
  completion: {
    summary: 'print a script that completes these commands in a shell',
    details:
      'For bash: eval "$(alikassa completion bash)" in ~/.bashrc; for zsh the same; for fish: alikassa completion fish | source',
    argument: '<bash|zsh|fish>',
    choices: ['bash', 'zsh', 'fish'],
    load: async () => (await import('./commands/completion.js')).completion,
  },
};

/**
 * Runs one command line.
 * @param args what follows the program's name.
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage.
 */
export async function main(args: string[]): Promise<number> {
  try {
    const { values, positionals } = parsed(args);
    if (values.version) {
      console.log(packageVersion());
      return 0;
    }
    if (values.help && positionals.length === 0) {
      console.log(helpOfAll(COMMANDS));
      return 0;
    }
    const { name, entry, rest } = found(positionals);
    if (values.help) {
      console.log(helpOf(COMMANDS, name));
      return 0;
    }
    const wrong = (Object.keys(FLAGS) as Flag[]).find((flag) => values[flag] && flag !== entry.flag);
    if (wrong) throw new UsageError(`"${name}" takes no --${wrong}`);
    const argument = argumentOf(name, entry, rest);
    const command = await entry.load();
    const { down = false, 'dry-run': dryRun = false } = values;
    return await command(readEnvironment(), { down, dryRun, argument, commands: COMMANDS });
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
        'dry-run': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'wrong usage');
  }
}

/** A name has one word or two. */
function found(words: string[]): { name: string; entry: CommandEntry; rest: string[] } {
  if (words.length === 0) throw new UsageError('a command is missing');
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (entry) return { name, entry, rest: words.slice(length) };
  }
  throw new UsageError(`there is no command "${words.slice(0, 2).join(' ')}"`);
}

function argumentOf(name: string, { argument, choices }: CommandEntry, rest: string[]): string {
  const [first, ...more] = rest;
  if (!argument) {
    if (first !== undefined) throw new UsageError(`"${name}" takes no argument`);
    return '';
  }
  if (first === undefined || more.length > 0) throw new UsageError(`"${name}" takes one argument: ${argument}`);
  if (choices && !choices.includes(first)) throw new UsageError(`"${name}" takes one of ${choices.join(', ')}`);
  return first;
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
