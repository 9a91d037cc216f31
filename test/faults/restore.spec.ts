import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepare, type TestSurroundings } from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { payload } from '../helpers/payload.js';
import { unprotected } from '../helpers/unprotected.js';
import { startPostgresServer, type PostgresServer } from '../helpers/postgres.server.js';
import { referenceEnvironment, TOKENS } from '../helpers/reference.js';
import { startService, type ServiceProcess } from '../helpers/service.js';
import { coldCopy, one } from '../helpers/standby.js';
import { submissionsOf } from '../helpers/submissions.js';
import { eventually } from '../helpers/until.js';

const folder = mkdtempSync(join(tmpdir(), 'alikassa-restore-'));
/** What is undone after each test, the last first. */
let undo: (() => Promise<void>)[] = [];
let around: TestSurroundings;
let service: ServiceProcess | undefined;

afterEach(async () => {
  await service?.kill('SIGTERM');
  service = undefined;
  for (const step of undo.toReversed()) await step();
  undo = [];
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

const environment = (databaseUrl: string, changes: Record<string, string> = {}): Record<string, string> => ({
  ...(referenceEnvironment(around) as Record<string, string>),
  DATABASE_URL: databaseUrl,
  ALIKASSA_TIMEOUT_MS: '2000',
  ALIKASSA_LEASE_MS: '4000',
  ALIKASSA_CHECK_SCHEDULE: '200ms,300ms,400ms,10s',
  ALIKASSA_REJECT_AFTER_MS: '500',
  ...changes,
});
const start = async (env: Record<string, string>): Promise<void> => void (service = await startService(env, folder));
const stop = async (): Promise<void> => void (await service?.kill('SIGTERM'));

interface Answer {
  status: number;
  id: string;
  etag: string;
}

async function call(method: string, path: string, body?: object, seen = ''): Promise<Answer> {
  const response = await fetch(`${service?.url}/alikassa/payouts${path}`, {
    method,
    headers: {
      authorization: `Bearer ${TOKENS.all.text}`,
      'content-type': 'application/json',
      ...(seen && { 'if-match': seen }),
    },
    body: body && JSON.stringify(body),
  });
  const { id } = (await response.json()) as { id?: string };
  return { status: response.status, id: String(id), etag: response.headers.get('etag') ?? '' };
}
/** Stays `wait`, without a notification. */
const create = (orderId: string): Promise<Answer> => call('POST', '', payload({ order_id: orderId, amount: '12.04' }));

/** The commands of the document, word for word and in its order, in one shell. */
function runDocument(env: Record<string, string>): Promise<{ code: number; out: string; err: string }> {
  const section = readFileSync('docs/operating.md', 'utf8').split('## A restored backup')[1] ?? '';
  const commands = [...section.matchAll(/`(npx alikassa (?!serve)[^`]+)`/g)].map(([, command]) => command);
  const npx = `npx() { shift; "${process.execPath}" "${resolve('dist/src/app/cli.js')}" "$@"; }`;
  return new Promise((done) => {
    const options = { cwd: folder, env: { PATH: process.env.PATH ?? '', ...env } };
    execFile('/bin/sh', ['-ec', [npx, ...commands].join('\n')], options, (error, out, err) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

const orders = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const sent = (orderIds: string[]): number[] => orderIds.map((orderId) => submissionsOf(around.simulator, orderId));

/** A backup, and what restores it: the restored database's URL. */
type Backup = () => Promise<() => Promise<string>>;

/** Files that are put back: cluster, timeline and database are the same, so that nothing shows it. */
async function files(): Promise<{ url: string; backup: Backup }> {
  const server = await startPostgresServer();
  const made = await server.createDatabase();
  around = await prepare({ database: { ...made, drop: () => made.pool.end() } });
  let restored: PostgresServer | undefined;
  undo.push(async () => {
    await restored?.remove();
    await server.remove();
    await around.stop();
  });
  return {
    url: made.url,
    backup: async () => {
      const copy = await coldCopy(server);
      return async () => {
        await server.crash();
        restored = await startPostgresServer(copy);
        return Object.assign(new URL(restored.url), { pathname: new URL(made.url).pathname }).href;
      };
    },
  };
}

/** A copy in another database, as a dump is restored. */
async function copies(): Promise<{ url: string; backup: Backup }> {
  const database = await createTestDatabase();
  around = await prepare({ database });
  undo.push(() => around.stop());
  const copy = `${new URL(database.url).pathname.slice(1)}_copy`;
  const admin = async (sql: string): Promise<void> => void (await one(process.env.ALIKASSA_TEST_SERVER_URL ?? '', sql));
  return {
    url: database.url,
    backup: async () => {
      await admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${copy.replace('_copy', '')}'`,
      );
      await eventually('nobody uses the original', () =>
        admin(`CREATE DATABASE ${copy} TEMPLATE ${copy.replace('_copy', '')}`).then(() => true),
      );
      undo.push(() => admin(`DROP DATABASE ${copy} WITH (FORCE)`));
      return async () => database.url.replace(copy.replace('_copy', ''), copy);
    },
  };
}

it.each([
  ['files that are put back', files],
  ['a copy in another database', copies],
])(
  '133: restored from a backup by docs/operating.md, word for word -> nothing is sent a second time (%s)',
  async (_, made) => {
    const { url, backup } = await made();
    await start(environment(url, { ALIKASSA_WORKER_ENABLED: 'false' }));
    const [queued, lost, fresh] = [orders(39), orders(5), orders(3)];
    const withdrawn = randomUUID();
    for (const orderId of [...queued, withdrawn]) expect((await create(orderId)).status).toBe(201);
    await stop();
    const restore = await backup();

    // Life goes on after the backup: what was queued is sent, one is withdrawn, others are created.
    await unprotected(
      around.database.pool,
      "UPDATE alikassa_payouts SET status = 'withdrawn', settled_at = now() WHERE order_id = $1",
      [withdrawn],
    );
    await start(environment(url));
    for (const orderId of lost) await create(orderId);
    await eventually('all of it is sent', () => sent([...queued, ...lost]).every((times) => times === 1));
    await stop();

    const env = environment(await restore());
    const { code, out, err } = await runDocument(env);
    expect([code, err]).toEqual([0, expect.stringContaining('40 of 40 payouts')]);
    expect(out).toMatch(/^queued +40 /m);
    expect(out).toMatch(/^found +39 [^]*^queued again +1 [^]*^held +0 [^]*^open +0 /m);

    await start({ ...env, ALIKASSA_WORKER_ENABLED: 'false' });
    const { id, etag } = await create(withdrawn);
    expect((await call('POST', `/${id}/withdraw`, undefined, etag)).status).toBe(200);
    await stop();
    await start(env);
    for (const orderId of [...lost, ...fresh]) expect((await create(orderId)).status).toBe(201);
    const all = [...queued, ...lost, ...fresh];
    await eventually('nothing is on its way', async () => {
      const sql = `SELECT count(*)::int FROM alikassa_payouts WHERE status IN ('queued', 'sending', 'unknown')`;
      return (await one<{ count: number }>(env['DATABASE_URL'] ?? '', sql)).count === 0;
    });
    expect(sent([...all, withdrawn])).toEqual([...all.map(() => 1), 0]);
  },
  120_000,
);
