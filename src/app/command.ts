import type { Environment } from './app.config.js';

/** The user typed something that is not a command, or not what it takes: exit code 2. */
export class UsageError extends Error {}

/** What a command is given beside the environment. */
export interface CommandInput {
  /** Whether `--down` was given. */
  down: boolean;
  /** Whether `--dry-run` was given. */
  dryRun: boolean;
  /** What follows the command's name; empty where it takes none. */
  argument: string;
  /** Every command. */
  commands: CommandTable;
}

/** @returns the exit code: 0 done, 1 failed. @throws UsageError */
export type Command = (env: Environment, input: CommandInput) => Promise<number>;

/** Flags, and what each says in help. */
export const FLAGS = {
  down: 'revert the last migration instead',
  'dry-run': 'only count what it would do',
} as const;

export type Flag = keyof typeof FLAGS;

/** One line of the table. */
export interface CommandEntry {
  summary: string;
  /** What `--help` says beside the summary. */
  details?: string;
  /** The one argument that must follow, as help shows it, e.g. `<file|->`. */
  argument?: string;
  /** The values that the argument may have, where they can be listed. */
  choices?: readonly string[];
  /** The flag that it takes. */
  flag?: Flag;
  /** Loads it when it is asked for: `--help` needs neither Nest nor a database driver. */
  load: () => Promise<Command>;
}

export type CommandTable = Readonly<Record<string, CommandEntry>>;
