import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { referenceEnvironment } from '../helpers/reference.js';
import { submissionsOf } from '../helpers/submissions.js';
import { eventually } from '../helpers/until.js';

const CLI = resolve('dist/src/app/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'alikassa-recover-'));
/** Stays `wait`, without a notification. */
const OPEN = { amount: '12.04' };
let around: TestSurroundings;
let hosts: TestApplication[] = [];

beforeEach(async () => {
  around = await prepare();
});
afterEach(async () => {
  for (const host of hosts) await host.stop();
  hosts = [];
  await around.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** @param enabled whether it has a worker. */
async function host(enabled: boolean): Promise<TestApplication> {
  const started = await startApplication({
    surroundings: around,
    options: { worker: { enabled, sweepIntervalMs: 500 } },
  });
  hosts.push(started);
  return started;
}

/** The built command as a process of its own. */
function recover(args: string[] = [], settings: Record<string, string> = {}) {
  const env = {
    PATH: process.env.PATH ?? '',
    ...referenceEnvironment(around),
    ALIKASSA_CHECK_SCHEDULE: '100ms',
    ALIKASSA_REJECT_AFTER_MS: '400',
    ALIKASSA_TIMEOUT_MS: '2000',
    ALIKASSA_LEASE_MS: '4000',
    ...settings,
  };
  const child = spawn(process.execPath, [CLI, 'recover', ...args], { cwd: folder, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((done) =>
    child.once('close', (code) => done({ code, out, err })),
  );
  return { child, ended, err: () => err };
}

const rows = async (): Promise<Record<string, unknown>[]> =>
  (await around.database.pool.query('SELECT * FROM alikassa_payouts ORDER BY seq')).rows;

describe('alikassa recover', () => {
  it('with --dry-run counts what is open, and changes nothing', async () => {
    const idle = await host(false);
    for (let count = 0; count < 3; count++) await idle.payouts.create(payload(OPEN) as never);
    const before = await rows();
    const { code, out } = await recover(['--dry-run']).ended;
    expect([code, out]).toEqual([0, expect.stringMatching(/^queued +3 {2}would be asked about\n$/)]);
    expect(await rows()).toEqual(before);
    expect((await around.database.pool.query('SELECT id FROM alikassa_database_epochs')).rows).toEqual([{ id: 1 }]);
    expect(around.simulator.requests).toEqual([]);
    await around.database.pool.query("UPDATE alikassa_database_epochs SET identity = 'another'");
    expect((await recover(['--dry-run']).ended).out).toContain('is not the one that it was');
    expect((await recover(['--down']).ended).code).toBe(2);
  });

  it('has nothing to do where nothing is open', async () => {
    expect(await recover().ended).toMatchObject({ code: 0, err: '0 of 0 payouts\n' });
  });

  it('goes on while the provider does not answer, ends with 1 when it is stopped, and can be run again', async () => {
    const idle = await host(false);
    for (let count = 0; count < 3; count++) await idle.payouts.create(payload(OPEN) as never);
    const answer = { status: 503, body: 'down' };
    around.simulator.script({ on: 'status', times: 1_000, answer });
    const run = recover();
    await eventually('it is asked again', () => around.simulator.requests.length > 6);
    expect(run.child.exitCode).toBe(null);
    run.child.kill('SIGINT');
    const stopped = await run.ended;
    expect([stopped.code, stopped.out]).toEqual([1, expect.stringMatching(/^open +3 .*run "alikassa recover" again/m)]);
    answer.status = 400;
    answer.body = JSON.stringify({ message: 'The given data was invalid.', errors: { order_id: ['unknown'] } });
    const { code, out } = await recover().ended;
    expect([code, out]).toEqual([0, expect.stringMatching(/^queued again +3 /m)]);
    expect((await rows()).map(({ status, possibly_sent }) => [status, possibly_sent])).toEqual(
      Array.from({ length: 3 }, () => ['queued', false]),
    );
    expect(around.simulator.requests.filter(({ endpoint }) => endpoint === 'payout')).toEqual([]);
  });

  it('tells what is found, held and ended, while workers run', async () => {
    const busy = await host(true);
    const [waiting, unclear, paid] = [payload(OPEN), payload(OPEN), payload(OPEN)];
    around.simulator.script({ on: 'payout', orderId: String(unclear['order_id']), drop: 'before' });
    const ids: string[] = [];
    for (const body of [waiting, unclear, paid]) ids.push((await busy.payouts.create(body as never)).id);
    await eventually('they are where they should be', async () => {
      const found = await rows();
      return found.map(({ status }) => status).join() === 'wait,unknown,wait';
    });
    around.simulator.script({ on: 'status', orderId: String(paid['order_id']), times: 1, answer: { status: 503 } });
    const settled = around.simulator.payouts.get(String(paid['order_id'])) as { payment_status: string };
    settled.payment_status = 'paid';
    const { code, out } = await recover().ended;
    expect(code).toBe(0);
    expect(out).toMatch(/^found +1 [^]*^queued again +0 [^]*^held +1 [^]*^open +0 /m);
    expect(submissionsOf(around.simulator, String(unclear['order_id']))).toBe(1);
  });

  it('is refused where the database lacks the migrations', async () => {
    await around.database.pool.query('DROP TABLE alikassa_migrations');
    expect(await recover().ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('alikassa migrate') as string,
    });
  });
});
