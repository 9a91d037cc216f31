import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';

/** For a free connection of the pool, or a new one. */
const CONNECT_MS = 10_000;
/** For a statement: a little more than a `statement_timeout` that is set as recommended, which says what was wrong. */
const STATEMENT_MS = 12_000;
/** For a sign of life of a connection that nobody uses. */
const PROBE_MS = 2_000;
/** For the end of a connection, after which it is cut. */
const END_MS = 3_000;
const CANCEL_REQUEST = 80_877_102;

/** The part of pg's client that is used here; its types leave some of it out. */
export type Client = pg.PoolClient & {
  connection: { stream: Duplex };
  processID: number | null;
  secretKey: number | null;
  host: string;
  port: number;
  readyForQuery: boolean;
};

/**
 * Runs the module's work on a connection of the DataSource's pool. A connection that does not answer in time is cut, since
 * Postgres may be gone without a word; the others that nobody uses then have to show that they live. Where Postgres only
 * waits, e.g. for a lock, it is told to stop.
 * @throws the driver's error: it is for the caller to map.
 */
export async function onConnection<T>(
  dataSource: DataSource,
  work: (client: Client, runner: QueryRunner) => Promise<T>,
): Promise<T> {
  const runner = dataSource.createQueryRunner();
  const client = await connected(runner);
  const timer = setTimeout(() => {
    cancel(client);
    cut(client, `no answer within ${STATEMENT_MS} ms`);
    void dropSilent(poolOf(dataSource));
  }, STATEMENT_MS);
  try {
    return await work(client, runner);
  } finally {
    clearTimeout(timer);
    await runner.release();
  }
}

/** The pool of the DataSource, of the master where it has readers too. */
export function poolOf(dataSource: DataSource): pg.Pool {
  return (dataSource.driver as unknown as { master: pg.Pool }).master;
}

/** Cuts the pool's unused connections that do not answer. @returns whether one has answered, or a new one was made. */
export async function dropSilent(pool: pg.Pool): Promise<boolean> {
  const probes = Array.from({ length: Math.max(1, pool.idleCount) }, async () => {
    const client = (await pool.connect()) as Client;
    // The query that fails says so, too; without a listener the process would end.
    client.on('error', ignore);
    const timer = setTimeout(() => cut(client, 'no sign of life'), PROBE_MS);
    try {
      await client.query('SELECT 1');
      client.off('error', ignore);
      client.release();
    } catch (error) {
      client.release(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  });
  const tooLate = new Promise<PromiseSettledResult<void>[]>((resolve) => setTimeout(resolve, 2 * PROBE_MS, []).unref());
  const results = await Promise.race([Promise.allSettled(probes), tooLate]);
  return results.some(({ status }) => status === 'fulfilled');
}

function ignore(): void {}

/** Lets a connection be ended within bounds: its socket stays open where the other side does not answer. */
export function boundEnd(client: pg.PoolClient): void {
  const { stream } = (client as Client).connection;
  stream.once('finish', () => setTimeout(() => stream.destroy(), END_MS).unref());
}

/** Ends a connection at once; whoever waits for its answer gets an error. */
export function cut(client: pg.PoolClient, reason: string): void {
  (client as Client).connection.stream.destroy(new Error(`Connection terminated: ${reason}`));
}

/** Tells Postgres to stop what it does for the client, as far as it can be told. */
function cancel({ host, port, processID, secretKey }: Client): void {
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return;
  const socket = connectSocket(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  socket.on('error', () => undefined);
  socket.setTimeout(END_MS, () => socket.destroy()).unref();
  const request = Buffer.alloc(16);
  [16, CANCEL_REQUEST, processID, secretKey].forEach((value, index) => request.writeInt32BE(value, 4 * index));
  socket.end(request);
}

/** A host may have set no limit for it. */
async function connected(runner: QueryRunner): Promise<Client> {
  const connecting = runner.connect() as Promise<Client>;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, fail) => {
    timer = setTimeout(() => {
      // What comes later goes back.
      connecting.then(
        () => void runner.release(),
        () => undefined,
      );
      fail(new Error('timeout exceeded when trying to connect'));
    }, CONNECT_MS);
  });
  return Promise.race([connecting, tooLate]).finally(() => clearTimeout(timer));
}
