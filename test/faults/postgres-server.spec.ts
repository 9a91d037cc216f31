import { execFileSync } from 'node:child_process';
import { rmdirSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import {
  create,
  expectNoRecipient,
  expectUnavailable,
  historyOf,
  latch,
  type Accepted,
} from '../helpers/payout.checks.js';
import { startPostgresServer, type PostgresServer } from '../helpers/postgres.server.js';
import { StatementFaults } from '../helpers/statement.faults.js';

const CONNECTIONS = 25;
/** Stays `wait` until the test settles it, so that nothing but the submission's own result can move it on. */
const open = (): Record<string, unknown> => payload({ amount: '12.04' });
const logger = new LogLines();
let server: PostgresServer;
let host: TestApplication;
let faults: StatementFaults;
/** Undone after the test, however it ends. */
const mounts: string[] = [];

beforeAll(async () => {
  server = await startPostgresServer();
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`ALTER SYSTEM SET max_connections = ${CONNECTIONS}`);
  await client.end();
  await server.stop();
  await server.start();
}, 60_000);
afterAll(async () => {
  await server.remove();
  for (const root of mounts) {
    execFileSync('umount', [root]);
    await rm(root, { recursive: true });
  }
}, 60_000);

beforeEach(async () => {
  faults = new StatementFaults();
  const database = await server.createDatabase();
  host = await startApplication({
    database,
    dataSource: { logger: faults, connectTimeoutMS: 5_000 },
    options: { leaseMs: 60_000 },
    logger,
  });
}, 60_000);
afterEach(async () => {
  await host.stop();
  expectNoRecipient(logger);
}, 60_000);

const rowsOf = async (orderId: unknown): Promise<number> => {
  const { pool } = host.database;
  return (await pool.query('SELECT 1 FROM alikassa_payouts WHERE order_id = $1', [orderId])).rowCount ?? 0;
};

/** Sent, and accepted by the provider, whose answer is held until `letGo`. */
async function submitted(): Promise<Accepted & { letGo: () => void }> {
  const body = open();
  const { held, letGo } = latch();
  host.simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
  const payout = await create(host, body);
  await eventually('the provider has it', () => host.simulator.accepted(payout.orderId) === 1);
  return { ...payout, letGo };
}

async function expectPaidOnce({ id, orderId }: Accepted): Promise<void> {
  await host.until(id, 'wait');
  await host.simulator.settle(orderId, 'paid');
  await host.until(id, 'paid');
  expect((await historyOf(host, id)).filter((line) => !line.startsWith('x'))).toEqual([
    'created:->queued',
    'claimed:queued->sending',
    'submission:sending->wait',
    'notification:wait->paid',
  ]);
  expect([await rowsOf(orderId), host.simulator.accepted(orderId)]).toEqual([1, 1]);
}

function post(body: Record<string, unknown>) {
  return host.http().post('/alikassa/payouts').send(body);
}

/** Whatever the fault did: what was in flight, what was refused and what is new all end paid, by one submission each. */
async function expectAllWell(inFlight: Accepted, refused: Record<string, unknown>): Promise<void> {
  expect(await rowsOf(refused['order_id'])).toBe(0);
  await expectPaidOnce(inFlight);
  await expectPaidOnce(await create(host, refused));
  await expectPaidOnce(await create(host, open()));
}

it('82: server crash and restart -> create says so, the result is written again, the application goes on', async () => {
  const first = await submitted();
  const refused = open();
  await server.crash();
  expectUnavailable(await post(refused), refused);
  first.letGo();
  await server.start();
  await expectAllWell(first, refused);

  // One backend dies: Postgres itself ends all others and starts anew.
  const second = await submitted();
  const before = await backends();
  server.crashBackend(before.workers[0] ?? 0);
  await eventually('it is started anew', async () => (await backends()).checkpointer !== before.checkpointer);
  second.letGo();
  await expectAllWell(second, open());
}, 90_000);

async function backends(): Promise<{ checkpointer: number; workers: number[] }> {
  const { rows } = await host.database.pool.query<{ pid: number; backend_type: string }>(
    `SELECT pid, backend_type FROM pg_stat_activity
     WHERE backend_type = 'checkpointer' OR (datname = current_database() AND application_name = 'alikassa-worker')`,
  );
  const pids = (isCheckpointer: boolean) =>
    rows.filter(({ backend_type }) => (backend_type === 'checkpointer') === isCheckpointer).map(({ pid }) => pid);
  return { checkpointer: pids(true)[0] ?? 0, workers: pids(false) };
}

it('83: out of connections -> create says so, the result is written again, the application goes on', async () => {
  const inFlight = await submitted();
  const refused = open();
  const taken = await takeEveryConnection();
  expectUnavailable(await post(refused), refused);
  inFlight.letGo();
  await eventually('the result was refused too', () => {
    return logger.lines.some((line) => line.includes('too many clients'));
  });
  await Promise.all(taken.map((client) => client.end()));
  await expectAllWell(inFlight, refused);
}, 90_000);

/** Ends the application's connections, and takes every one there is. */
async function takeEveryConnection(): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  const add = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: host.database.url, application_name: 'test' });
    client.on('error', () => undefined);
    return client.connect().then(
      () => taken.push(client) > 0,
      () => false,
    );
  };
  await eventually('every connection is taken', async () => {
    while (await add());
    const { rows } = (await taken[0]?.query<{ theirs: number }>(
      `SELECT count(pg_terminate_backend(pid))::int AS theirs FROM pg_stat_activity
       WHERE datname = current_database() AND application_name <> 'test'`,
    )) ?? { rows: [] };
    return rows[0]?.theirs === 0;
  });
  return taken;
}

/** A file system that is as small as the case needs; only root may make one. */
const mayMount = process.platform === 'linux' && process.getuid?.() === 0 && canMount();

function canMount(): boolean {
  try {
    const probe = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    rmdirSync(probe);
    return true;
  } catch {
    return false;
  }
}

it('90: disk full -> create says so, the result is written later, the application goes on', async () => {
  const inFlight = await submitted();
  const makeRoom = await (mayMount ? fillSmallDisk(inFlight.id) : refuseAsIfFull());
  const refused = open();
  expectUnavailable(await post(refused), refused);
  inFlight.letGo();
  await eventually('the result did not fit either', () => statesOfDiskFull().length > 2);
  await makeRoom();
  await expectAllWell(inFlight, refused);
}, 90_000);

const statesOfDiskFull = (): string[] => faults.states.filter((state) => state === '53100');

/** Events live on a disk of their own, and it is full. @returns what gives it room. */
async function fillSmallDisk(payoutId: string): Promise<() => Promise<void>> {
  const { pool } = host.database;
  const disk = await smallDisk();
  await pool.query(`CREATE TABLESPACE small LOCATION '${disk.folder}'`);
  await pool.query('ALTER TABLE alikassa_payout_events SET TABLESPACE small');
  await fillWithEventsOf(payoutId);
  return async () => disk.grow();
}

/** Without root there is no small disk: Postgres then says what it would say of one. */
async function refuseAsIfFull(): Promise<() => Promise<void>> {
  const { pool } = host.database;
  await pool.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device'; END $$`);
  await pool.query(`CREATE TRIGGER full_disk BEFORE INSERT ON alikassa_payout_events
    FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`);
  return async () => void (await pool.query('DROP TRIGGER full_disk ON alikassa_payout_events'));
}

/** Smaller than any event of ours, until none goes in any more: a map of free space may be what did not fit first. */
async function fillWithEventsOf(payoutId: string): Promise<void> {
  const { pool } = host.database;
  const fill = `DO $$ BEGIN LOOP
    SET LOCAL session_replication_role = replica;
    INSERT INTO alikassa_payout_events (payout_id, type, to_status, attempt) VALUES ('${payoutId}', 'x', 'x', 0);
    COMMIT; END LOOP; END $$`;
  for (let before = -1, now = 0; before !== now;) {
    before = now;
    const code = await pool.query(fill).catch((error: pg.DatabaseError) => error.code);
    if (code !== '53100') throw new Error('The disk is not full.', { cause: code });
    now = (await pool.query('SELECT FROM alikassa_payout_events')).rowCount ?? 0;
  }
}

async function smallDisk(): Promise<{ folder: string; grow: () => void }> {
  const root = await mkdtemp(join(tmpdir(), 'alikassa-disk-'));
  await chmod(root, 0o711);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=711', 'tmpfs', root]);
  mounts.push(root);
  const folder = join(root, 'space');
  await mkdir(folder, { mode: 0o700 });
  const { uid, gid } = await stat(await dataFolder());
  await chown(folder, uid, gid);
  return {
    folder,
    grow: () => void execFileSync('mount', ['-o', 'remount,size=64m', root]),
  };
}

async function dataFolder(): Promise<string> {
  const { rows } = await host.database.pool.query<{ folder: string }>(
    `SELECT current_setting('data_directory') AS folder`,
  );
  return rows[0]?.folder ?? '';
}
