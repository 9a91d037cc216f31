import { createHash } from 'node:crypto';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { onConnection, type Client } from './database.connections.js';
import { mapped } from './database.errors.js';
import { faultsOf } from './database.faults.js';
import { OWN_TYPES } from './database.types.js';
import { requireOpen } from './host.transaction.js';
import { remembered } from './remembered.js';

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
  const statement = { name: nameOf(text), text, values };
  return manager?.queryRunner ? within(dataSource, statement, manager) : alone(dataSource, statement);
}

/**
 * The same, of a statement that is not worth preparing.
 * @throws DatabaseUnavailableError, DatabaseRefusedError; InvalidInputError as above.
 */
export async function query<T>(
  dataSource: DataSource,
  text: string,
  values: unknown[] = [],
  manager?: EntityManager,
): Promise<T[]> {
  const statement = { text, values };
  return mapped(manager?.queryRunner ? within<T>(dataSource, statement, manager) : alone<T>(dataSource, statement));
}

/**
 * The same, of one that may read past the whole history: that may take longer than a statement of a payout is given.
 * @throws DatabaseUnavailableError, DatabaseRefusedError
 */
export async function unhurried<T>(dataSource: DataSource, text: string, values: unknown[]): Promise<T[]> {
  return mapped(
    dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL statement_timeout = 0');
      return query<T>(dataSource, text, values, manager);
    }),
  );
}

/**
 * SQL of a table expression `bound` that limits how long the statement that it is joined to waits for rows that another
 * transaction holds: the host may have set no limit, or a longer one. It ends with the statement's transaction.
 * @param ms SQL of milliseconds.
 */
export function lockBound(ms: number | string): string {
  return `bound AS MATERIALIZED (SELECT set_config('lock_timeout', least(${ms}::int,
     nullif(extract(epoch FROM current_setting('lock_timeout')::interval) * 1000, 0))::int || 'ms', true))`;
}

/** In the host's transaction, which is the host's, its timeouts too. */
async function within<T>(dataSource: DataSource, statement: Statement, manager: EntityManager): Promise<T[]> {
  requireOpen(manager);
  const runner = manager.queryRunner!;
  const client = (await runner.connect()) as Client;
  // Since then it may have ended: its connection may be somebody else's.
  requireOpen(manager);
  return run(dataSource, client, runner, statement);
}

async function alone<T>(dataSource: DataSource, statement: Statement): Promise<T[]> {
  try {
    const rows = await onConnection(dataSource, (client, runner) => run<T>(dataSource, client, runner, statement));
    faultsOf(dataSource).worked(statement.text);
    return rows;
  } catch (error) {
    faultsOf(dataSource).failed(statement.text, error);
    throw error;
  }
}

/**
 * TypeORM can neither name a statement nor say how its result is read, so this goes to the driver's client, on the connection
 * that TypeORM has chosen.
 */
async function run<T>(dataSource: DataSource, client: Client, runner: QueryRunner, statement: Statement): Promise<T[]> {
  const { text, values } = statement;
  // As TypeORM logs its own, where the host has asked for that.
  dataSource.logger.logQuery(text, values, runner);
  try {
    return (await client.query({ ...statement, types: OWN_TYPES })).rows as T[];
  } catch (error) {
    dataSource.logger.logQueryError(error as Error, text, values, runner);
    throw error;
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
