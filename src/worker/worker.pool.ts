import { Logger } from '@nestjs/common';
import pg from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { ConfigurationError } from '../alikassa.errors.js';
import { DATABASE_TIMEOUTS } from '../payouts/database.timeouts.js';
import { ISO_TYPES } from '../payouts/database.types.js';

/**
 * The engine waits for no disk: a crash of Postgres may bring back jobs that were taken or done, and a job only triggers.
 * What a payout depends on is written by other connections, and each such commit makes durable what came before it, too.
 * Its times are read as ISO ones.
 */
const SESSION = '-c synchronous_commit=off -c datestyle=ISO';

type Connected = Parameters<pg.Pool['connect']>[0];

/**
 * The engine gives its listening client back twice where the connection is lost while it shuts down. The second time
 * pg-pool throws, in a promise that nobody handles, which would end the process.
 */
class WorkerPool extends pg.Pool {
  override connect(): Promise<pg.PoolClient>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<pg.PoolClient> | void {
    if (!connected) return super.connect();
    super.connect((error, client, release) => {
      let isReleased = false;
      connected(error, client, (fault) => {
        if (!isReleased) release(fault);
        isReleased = true;
      });
    });
  }
}

/**
 * The job engine's own small pool, on the server that the DataSource uses, with our timeouts unless its `extra` names
 * others. A pool or client without an error handler ends the process when Postgres goes away, so both get one before
 * first use.
 * @throws ConfigurationError if the DataSource is not Postgres.
 */
export function createWorkerPool(dataSource: DataSource, max: number): pg.Pool {
  const logger = new Logger('AliKassaWorker');
  const pool = new WorkerPool({ ...connectionOf(dataSource), max, application_name: 'alikassa-worker' });
  const report = (error: Error): void => logger.warn(`The worker lost a database connection: ${error.message}`);
  pool.on('error', report);
  pool.on('connect', (client) => client.on('error', report));
  return pool;
}

/**
 * Gives the clients of the DataSource's own pool an error listener as well: pg-pool takes its own away when it hands one
 * over, TypeORM listens a moment later, and a connection that is lost in between would end the process. Whoever holds the
 * client sees the error by the query that fails.
 */
export function guardConnections(dataSource: DataSource): void {
  const { master } = dataSource.driver as unknown as { master: pg.Pool };
  // Once, however many instances of the module share the DataSource.
  if (!master.listeners('connect').includes(listen)) master.on('connect', listen);
}

function listen(client: pg.PoolClient): void {
  client.on('error', () => undefined);
}

function connectionOf(dataSource: DataSource): pg.PoolConfig {
  const { options } = dataSource;
  if (!isPostgres(options)) throw new ConfigurationError('dataSource', `is ${options.type}; payouts need Postgres`);
  return {
    connectionString: options.url,
    host: options.host,
    port: options.port,
    user: options.username,
    password: options.password,
    database: options.database,
    connectionTimeoutMillis: options.connectTimeoutMS,
    ssl: options.ssl as pg.PoolConfig['ssl'],
    ...DATABASE_TIMEOUTS,
    options: SESSION,
    ...(options.extra as pg.PoolConfig | undefined),
    // The engine is to read its jobs, whatever parsers the host has given pg.
    types: ISO_TYPES as pg.CustomTypesConfig,
  };
}

function isPostgres(options: DataSourceOptions): options is Extract<DataSourceOptions, { type: 'postgres' }> {
  return options.type === 'postgres';
}
