import { createHash } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { OWN_TYPES } from './database.types.js';
import { requireOpen } from './host.transaction.js';
import { remembered } from './remembered.js';

/** The part of pg's client that is used here; TypeORM does not type it. */
interface Client {
  query(statement: Statement & { types: typeof OWN_TYPES }): Promise<{ rows: unknown[] }>;
}

interface Statement {
  /** Prepared under this name; absent, it is not. */
  name?: string;
  text: string;
  values: unknown[];
}

/** Makes a value part of a statement. @returns SQL that stands for it, of the given type. */
export type Bind = (value: unknown, type: string) => string;

/** Adds it to a statement's parameters. */
export function bindTo(params: unknown[]): Bind {
  return (value, type) => `$${params.push(value)}::${type}`;
}

const names = new Map<string, string>();

/**
 * Runs a statement that Postgres prepares once for each connection: to parse and plan it costs more than to run it.
 * @param manager whose transaction it belongs to; without one it is a transaction of its own.
 * @throws the driver's error: it is for the caller to map; InvalidInputError, and nothing is sent, where the manager's
 * transaction has ended.
 */
export async function prepared<T>(
  dataSource: DataSource,
  text: string,
  values: unknown[],
  manager?: EntityManager,
): Promise<T[]> {
  return run(dataSource, { name: nameOf(text), text, values }, manager);
}

/** The same, of a statement that is not worth preparing. */
export async function query<T>(
  dataSource: DataSource,
  text: string,
  values: unknown[],
  manager?: EntityManager,
): Promise<T[]> {
  return run(dataSource, { text, values }, manager);
}

/**
 * TypeORM can neither name a statement nor say how its result is read, so this goes to the driver's client, on the connection
 * that TypeORM has chosen.
 */
async function run<T>(dataSource: DataSource, statement: Statement, manager?: EntityManager): Promise<T[]> {
  if (manager) requireOpen(manager);
  const { text, values } = statement;
  const runner = manager?.queryRunner ?? dataSource.createQueryRunner();
  try {
    const client = (await runner.connect()) as Client;
    // Since then it may have ended: its connection may be somebody else's.
    if (manager) requireOpen(manager);
    // As TypeORM logs its own, where the host has asked for that.
    dataSource.logger.logQuery(text, values, runner);
    return (await client.query({ ...statement, types: OWN_TYPES })).rows as T[];
  } catch (error) {
    dataSource.logger.logQueryError(error as Error, text, values, runner);
    throw error;
  } finally {
    if (runner !== manager?.queryRunner) await runner.release();
  }
}

/**
 * To be selected by a statement whose result must be durable before anything is done about it, whatever the role's default
 * is. It holds for the rest of the transaction; what is stronger than Postgres' own default stays.
 */
export const DURABLE = `CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END AS durable`;

/** The same for the same text; Postgres takes 63 bytes. */
function nameOf(text: string): string {
  return remembered(names, text, () => `alikassa_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`);
}
