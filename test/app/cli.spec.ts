import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { AliKassaSimulator, generateTestKeys } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { RUB } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

const CLI = resolve('dist/src/app/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'alikassa-cli-'));
const token = { shop: 'shop-token', reader: 'reader-token' };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let database: TestDatabase;
let simulator: AliKassaSimulator;
let port: number;
let env: Record<string, string>;

/** Runs the built command as a process of its own, with nothing but this environment. */
function alikassa(
  args: string[],
  settings: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    const options = { cwd: folder, env: { PATH: process.env.PATH ?? '', ...settings } };
    execFile(process.execPath, [CLI, ...args], options, (error, out, err) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

beforeAll(async () => {
  const keys = await generateTestKeys();
  database = await createTestDatabase();
  await database.pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA alikassa_worker CASCADE');
  port = await freePort();
  simulator = await new AliKassaSimulator({
    payoutPublicKey: keys.payout.publicKey,
    notificationPrivateKey: keys.notification.privateKey,
    accounts: [{ uuid: RUB, currency: 'RUB' }],
  }).start();
  writeFileSync(join(folder, 'private.pem'), keys.payout.privateKey, { mode: 0o600 });
  writeFileSync(join(folder, 'password.txt'), `${keys.payout.passphrase}\n`, { mode: 0o600 });
  env = {
    PORT: String(port),
    DATABASE_URL: database.url,
    ALIKASSA_BASE_URL: simulator.url,
    ALIKASSA_ACCOUNTS: `RUB:${RUB}`,
    ALIKASSA_PRIVATE_KEY_PATH: join(folder, 'private.pem'),
    ALIKASSA_PRIVATE_KEY_PASSWORD_PATH: join(folder, 'password.txt'),
    ALIKASSA_NOTIFICATION_PUBLIC_KEY: keys.notification.publicKey,
    ALIKASSA_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    ALIKASSA_API_TOKENS: `shop:payouts:create+payouts:read:${sha256(token.shop)},reader:payouts:read:${sha256(token.reader)}`,
    ALIKASSA_NOTIFICATION_URL: `http://127.0.0.1:${port}/alikassa/notifications`,
  };
});
afterAll(async () => {
  await simulator.stop();
  await database.drop();
  rmSync(folder, { recursive: true });
});

describe('alikassa', () => {
  it('explains itself, and exits with 2 for what it does not know', async () => {
    expect((await alikassa(['--help'])).out).toContain('Usage: alikassa');
    expect(await alikassa(['nope'])).toMatchObject({ code: 2, err: expect.stringContaining('nope') as string });
    expect((await alikassa(['migrate', '--sideways'])).code).toBe(2);
  });

  it('doctor says what is missing before the migrations, and that all is well after them', async () => {
    const before = await alikassa(['doctor'], env);
    expect([before.code, before.out]).toEqual([1, expect.stringMatching(/FAIL {2}migrations/)]);
    expect((await alikassa(['migrate'], env)).code).toBe(0);
    expect((await alikassa(['migrate'], env)).out).toContain('up to date');
    const after = await alikassa(['doctor'], env);
    expect([after.code, after.out]).toEqual([0, expect.not.stringContaining('FAIL')]);
    expect(after.out).toMatch(/ok {4}provider RUB/);
  });

  it('serve pays out for whom it knows, and ends with SIGTERM', async () => {
    const server: ChildProcess = spawn(process.execPath, [CLI, 'serve'], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      stdio: 'ignore',
    });
    const ended = new Promise((done) => server.once('exit', done));
    const url = `http://127.0.0.1:${port}/alikassa/payouts`;
    for (let i = 0; i < 200 && !(await fetch(url).catch(() => null)); i++) await sleep(50);
    const payload = { amount: '500', number: '79005554455', order_id: randomUUID(), service: 'qiwi_rub' };
    const post = async (bearer?: string): Promise<Response> =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) },
        body: JSON.stringify(payload),
      });
    expect((await post()).status).toBe(401);
    expect((await post('guess')).status).toBe(401);
    const forbidden = await post(token.reader);
    expect([forbidden.status, await forbidden.json()]).toEqual([403, expect.objectContaining({ code: 'forbidden' })]);
    const created = await post(token.shop);
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as PayoutDto;
    let payout: PayoutDto | undefined;
    for (let i = 0; i < 200 && payout?.status !== 'paid'; i++) {
      await sleep(50);
      const answer = await fetch(`${url}/${id}`, { headers: { authorization: `Bearer ${token.reader}` } });
      payout = (await answer.json()) as PayoutDto;
    }
    expect(payout?.status).toBe('paid');
    server.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
