import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DataSource } from 'typeorm';
import { parseEncryptionKeys } from '../../src/app/config.values.js';
import { RUB, startApplication, prepare, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { blocked, meanwhile } from '../helpers/database.locks.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';
import { unprotected } from '../helpers/unprotected.js';

const CLI = resolve('dist/src/app/cli.js');
const BATCH = 200;
const folder = mkdtempSync(join(tmpdir(), 'alikassa-keys-'));
const [oldKey, newKey] = ['old', 'new'].map((id) => ({ id, key: randomBytes(32).toString('base64') }));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}
let surroundings: TestSurroundings;
let host: TestApplication;
let env: Record<string, string> = {};

/** The built command as a process of its own. */
function alikassa(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, env: { PATH: process.env.PATH ?? '', ...env } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, out, err })));
  return { child, ended, err: () => err };
}
const rotate = (): Promise<Ended> => alikassa('keys', 'rotate').ended;
const query = async (sql: string): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql)).rows;

async function accept(count: number): Promise<string[]> {
  return host.app.get(DataSource).transaction(async (manager) => {
    const ids: string[] = [];
    while (ids.length < count) ids.push((await host.payouts.create(payload() as never, { manager })).id);
    return ids;
  });
}

afterAll(() => rmSync(folder, { recursive: true }));

describe('alikassa keys', () => {
  it('generate prints one new key as the setting takes it', async () => {
    const [one, two] = [await alikassa('keys', 'generate').ended, await alikassa('keys', 'generate').ended];
    for (const { code, out } of [one, two]) {
      expect([code, out]).toEqual([0, expect.stringMatching(/^k\d{8}-[0-9a-f]{4}:[^\n]+\n$/)]);
      const [{ id, key } = { id: '', key: '' }] = parseEncryptionKeys('test', out.trim());
      expect([id.length, Buffer.from(key as string, 'base64').length]).toEqual([14, 32]);
    }
    expect(one.out.split(':')[1]).not.toBe(two.out.split(':')[1]);
  });

  it('is wrong usage without its second word', async () => {
    expect(await alikassa('keys').ended).toMatchObject({ code: 2, err: expect.stringContaining('"keys"') as string });
    expect((await alikassa('keys', 'lose').ended).code).toBe(2);
    expect((await alikassa('keys', 'rotate', '--down').ended).code).toBe(2);
  });
});

describe('alikassa keys rotate', () => {
  beforeEach(async () => {
    surroundings = await prepare();
    const { database, options } = surroundings;
    host = await startApplication({ surroundings, options: { encryptionKeys: [oldKey!], worker: { enabled: false } } });
    env = {
      DATABASE_URL: database.url,
      ALIKASSA_ACCOUNTS: `RUB:${RUB}`,
      ALIKASSA_BASE_URL: String(options.baseUrl),
      ALIKASSA_PRIVATE_KEY: String(options.privateKey),
      ALIKASSA_PRIVATE_KEY_PASSWORD: String(options.passphrase),
      ALIKASSA_NOTIFICATION_PUBLIC_KEY: String(options.notificationPublicKey),
      ALIKASSA_API_TOKENS: `shop:payouts:read:${'0'.repeat(64)}`,
      ALIKASSA_ENCRYPTION_KEYS: [newKey!, oldKey!].map(({ id, key }) => `${id}:${key}`).join(','),
    };
  });
  afterEach(async () => {
    await host.stop();
    await surroundings.stop();
  });

  it('says which key can go, how far it is, and ends with 0', async () => {
    await accept(3);
    const { code, out, err } = await rotate();
    expect([code, out]).toEqual([
      0,
      'rotated     3 row(s) to key new\nkey old: no row uses it; it can be removed from the ring\n',
    ]);
    expect(err).toMatch(/^3 of 3 rows, \d+ rows\/s\n$/);
    expect(await rotate()).toMatchObject({
      code: 0,
      out: expect.stringContaining('rotated     0 row(s)') as string,
      err: '',
    });
  });

  it('names what it cannot read back, rotates the rest, and ends with 1', async () => {
    const [id] = await accept(2);
    await unprotected(surroundings.database.pool, `UPDATE alikassa_payouts SET key_id = 'gone' WHERE id = '${id}'`);
    const { code, out, err } = await rotate();
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(
        /rotated {5}1 row\(s\) to key new\nkey old: no row uses it.*\nkey gone: 1 row\(s\) are still under it/,
      ),
    ]);
    expect(err).toContain(`unreadable  Payout ${id}: encryption key "gone" is not in the ring`);
    expect(err).toContain('1 row(s) cannot be read back');
    expect(out + err).not.toContain(payload()['number']);
    expect((await host.payouts.find(String(id))).attention).toEqual(['recipient_unreadable']);
  });

  it('says which key erased rows still need, and ends with 0', async () => {
    await accept(2);
    await unprotected(
      surroundings.database.pool,
      `UPDATE alikassa_payouts SET status = 'withdrawn', settled_at = now(), recipient_ciphertext = NULL
       WHERE seq = (SELECT min(seq) FROM alikassa_payouts)`,
    );
    const { code, out } = await rotate();
    expect([code, out]).toEqual([
      0,
      'rotated     1 row(s) to key new\nkey old: 1 row(s) have no ciphertext; keep key old in the ring\n',
    ]);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends with 1 after the batch under way on %s, and goes on when run again',
    async (signal) => {
      const { pool } = surroundings.database;
      const [first] = await accept(BATCH + 50);
      await unprotected(pool, `UPDATE alikassa_payouts SET key_id = 'gone' WHERE id = '${first}'`);
      const { child, ended, err } = alikassa('keys', 'rotate');
      // The first batch is held up at its first row, which waits to be marked.
      await meanwhile(pool, [`SELECT 1 FROM alikassa_payouts WHERE id = '${first}' FOR UPDATE`], async () => {
        await blocked(pool, 'UPDATE');
        child.kill(signal);
        await until(() => err().includes('stopping after the batch under way'));
      });
      const stopped = await ended;
      expect([stopped.code, stopped.out]).toEqual([1, expect.stringContaining(`rotated     ${BATCH - 1} row(s)`)]);
      expect(stopped.err).toContain('stopped: run "alikassa keys rotate" again');
      expect((await rotate()).out).toContain('rotated     50 row(s)');
      expect(await query('SELECT DISTINCT key_id FROM alikassa_payouts ORDER BY 1')).toEqual([
        { key_id: 'gone' },
        { key_id: 'new' },
      ]);
    },
  );

  it.each(['0', '36501'])('does not start with a retention of %s days, and names the setting', async (days) => {
    env['ALIKASSA_RECIPIENT_RETENTION_DAYS'] = days;
    const { code, err } = await rotate();
    expect([code, err.trim().split('\n')]).toEqual([1, [expect.stringContaining('ALIKASSA_RECIPIENT_RETENTION_DAYS')]]);
  });
});
