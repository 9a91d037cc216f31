import type { Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { ConfigurationError } from '../alikassa.errors.js';
import { boundEnd, cut, poolOf, type Client } from '../payouts/database.connections.js';
import { DATABASE_TIMEOUTS } from '../payouts/database.timeouts.js';
import { ISO_TYPES } from '../payouts/database.types.js';

/**
 * The engine waits for no disk: a crash of Postgres may bring back jobs that were taken or done, and a job only triggers.
 * What a payout depends on is written by other connections, and each such commit makes durable what came before it, too.
 * Its times are read as ISO ones.
 */
const SESSION = '-c synchronous_commit=off -c datestyle=ISO';

/** A connection of the engine that says nothing for so long has to show that it lives; one that was asked already is cut. */
const SILENCE_MS = DATABASE_TIMEOUTS.statement_timeout + 2_000;
/** For a new connection, unless the host says otherwise. */
const CONNECT_MS = 10_000;
/** For the end of the pool, after which connections that are still in use are cut. */
const END_MS = 5_000;

type Connected = Parameters<pg.Pool['connect']>[0];

/**
 * The engine gives its listening client back twice where the connection is lost while it shuts down. The second time
 * pg-pool throws, in a promise that nobody handles, which would end the process.
 */
export class WorkerPool extends pg.Pool {
  private readonly open = new Set<pg.PoolClient>();

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

  /** Remembers a connection until it has ended. */
  keep(client: pg.PoolClient): void {
    this.open.add(client);
    client.on('end', () => this.open.delete(client));
  }

  /** Ends it within bounds, whatever becomes of its connections. */
  async finish(): Promise<void> {
    if (this.ending) return;
    const timer = setTimeout(() => this.open.forEach((client) => cut(client, 'the application ends')), END_MS);
    await this.end();
    clearTimeout(timer);
  }
}

/**
 * The job engine's own small pool, on the server that the DataSource uses, with our timeouts unless its `extra` names
 * others. A pool or client without an error handler ends the process when Postgres goes away, so both get one before
 * first use.
 * @throws ConfigurationError if the DataSource is not Postgres.
 */
export function createWorkerPool(dataSource: DataSource, max: number): WorkerPool {
  const logger = new Logger('AliKassaWorker');
  const pool = new WorkerPool({ ...connectionOf(dataSource), max, application_name: 'alikassa-worker' });
  const report = (error: Error): void => logger.warn(`The worker lost a database connection: ${error.message}`);
  pool.on('error', report);
  pool.on('connect', (client) => {
    client.on('error', report);
    pool.keep(client);
    boundEnd(client);
    boundSilence(client as Client);
  });
  return pool;
}

/** Postgres may be gone without a word, e.g. behind a firewall that forgets connections. */
function boundSilence(client: Client): void {
  const stream = client.connection.stream as Socket;
  stream.setTimeout(SILENCE_MS);
  stream.on('timeout', () => {
    if (!client.readyForQuery) cut(client, `no answer within ${SILENCE_MS} ms`);
    // It only listens: the engine asks it nothing.
    else client.query('SELECT 1').catch(() => undefined);
  });
}

/**
 * Gives the clients of the DataSource's own pool a beginning and an end within bounds, and an error listener as well: pg-pool takes its own away when it hands one
 * over, TypeORM listens a moment later, and a connection that is lost in between would end the process. Whoever holds the
 * client sees the error by the query that fails.
 */
export function guardConnections(dataSource: DataSource): void {
  const master = poolOf(dataSource);
  // Once, however many instances of the module share the DataSource.
  if (master.listeners('acquire').includes(listen)) return;
  master.on('acquire', listen);
  boundConnects(master as Connecting);
}

type Connecting = pg.Pool & { Client: new (...parts: ConstructorParameters<typeof pg.Client>) => pg.Client };

/** One that Postgres does not answer would keep its place in the pool for good, and the pool from ending. */
function boundConnects(pool: Connecting): void {
  if (pool.options.connectionTimeoutMillis) return;
  pool.Client = class extends pool.Client {
    constructor(...parts: ConstructorParameters<typeof pg.Client>) {
      super(...parts);
      const timer = setTimeout(() => cut(this as unknown as Client, 'no answer to the sign-in'), CONNECT_MS);
      for (const event of ['connect', 'end'] as const) this.once(event, () => clearTimeout(timer));
    }
  };
}

const heard = new WeakSet<pg.PoolClient>();

/** When it is used for the first time: the DataSource may have had it before. */
function listen(client: pg.PoolClient): void {
  if (heard.has(client)) return;
  heard.add(client);
  client.on('error', () => undefined);
  ((client as Client).connection.stream as Socket).setKeepAlive(true, SILENCE_MS);
  boundEnd(client);
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
    connectionTimeoutMillis: options.connectTimeoutMS ?? CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: SILENCE_MS,
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
