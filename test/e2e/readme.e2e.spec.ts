import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import ts from 'typescript';
import { PayoutService } from '../../src/index.js';
import { AliKassaSimulator, generateTestKeys } from '../../src/testing/index.js';
import { createTestDatabase } from '../helpers/database.js';
import { RUB } from '../helpers/application.js';

/** The README's first `ts` block, word for word. */
const snippet = /```ts\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';
const file = resolve(`test/e2e/readme-snippet.${process.pid}.ts`);
const keysFolder = mkdtempSync(join(tmpdir(), 'alikassa-readme-'));

beforeAll(() => writeFileSync(file, snippet));
afterAll(() => {
  rmSync(file);
  rmSync(keysFolder, { recursive: true });
});

describe("the README's module", () => {
  it('compiles as it stands', () => {
    const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.');
    const paths = {
      'nestjs-alikassa': [resolve('src/index.ts')],
      'nestjs-alikassa/migrations': [resolve('migrations/index.ts')],
    };
    const program = ts.createProgram([file], { ...options, paths });
    const faults = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(faults).toEqual([]);
  });

  it('pays out on an empty database', async () => {
    const [database, keys] = await Promise.all([createTestDatabase(), generateTestKeys()]);
    await database.pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA alikassa_worker CASCADE');
    const simulator = await new AliKassaSimulator({
      payoutPublicKey: keys.payout.publicKey,
      notificationPrivateKey: keys.notification.privateKey,
      accounts: [{ uuid: RUB, currency: 'RUB' }],
    }).start();
    writeFileSync(join(keysFolder, 'private.pem'), keys.payout.privateKey);
    writeFileSync(join(keysFolder, 'password.txt'), `${keys.payout.passphrase}\n`);
    writeFileSync(join(keysFolder, 'notifications.pem'), keys.notification.publicKey);
    Object.assign(process.env, {
      KEYS: keysFolder,
      DATABASE_URL: database.adminUrl,
      ACCOUNT: RUB,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      ALIKASSA_BASE_URL: simulator.url,
    });
    const { AppModule } = (await import(file)) as { AppModule: Type };
    const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
    await app.listen(0, '127.0.0.1');
    const payouts = app.get(PayoutService, { strict: false });
    const order = { order_id: randomUUID(), amount: '500', number: '79005554455', service: 'qiwi_rub' };
    const { id } = await payouts.create(order);
    let payout = await payouts.waitForAnswer(id, 10_000);
    for (let i = 0; payout.status === 'wait' && i < 100; i++) {
      await sleep(50);
      payout = await payouts.refresh(id);
    }
    expect(payout.status).toBe('paid');
    await app.close();
    await simulator.stop();
    await database.drop();
  });
});
