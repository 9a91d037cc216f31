import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { generateTestKeys, type TestKeys } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { EUR, RUB, startApplication, type TestApplication } from '../helpers/application.js';

const hasPhp = spawnSync('php', ['-r', 'exit(function_exists("openssl_sign") ? 0 : 1);']).status === 0;
if (!hasPhp) console.log('PHP not found: the test against a provider in PHP was skipped.');
const withPhp = hasPhp ? describe : describe.skip; // without PHP there is no such provider

withPhp('a provider written in PHP', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alikassa-php-'));
  const journal = join(folder, 'journal');
  let server: ChildProcess;
  let keys: TestKeys;
  let host: TestApplication;

  beforeAll(async () => {
    keys = await generateTestKeys();
    writeFileSync(join(folder, 'public.pem'), keys.payout.publicKey);
    writeFileSync(journal, '');
    const port = await freePort();
    const env = { PATH: process.env.PATH, PUBLIC_KEY: join(folder, 'public.pem'), JOURNAL: journal };
    server = spawn('php', ['-S', `127.0.0.1:${port}`, 'test/php/provider.php'], { env, stdio: 'ignore' });
    const baseUrl = `http://127.0.0.1:${port}`;
    for (let i = 0; i < 100 && !(await fetch(baseUrl).catch(() => null)); i++) await sleep(50);
    writeFileSync(journal, '');
    host = await startApplication({ keys, options: { baseUrl, checkSchedule: [3_600_000] } });
  });
  afterAll(async () => {
    await host.stop();
    server.kill();
    rmSync(folder, { recursive: true });
  });

  const seen = (): { path: string; valid: boolean; order_id: string | null; fields: string[] }[] =>
    readFileSync(journal, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ReturnType<typeof seen>[number]);
  const create = async (changes: object): Promise<PayoutDto> => {
    const payload = { account: RUB, amount: '1000.44', number: '4111111111111111', service: 'payment_card_rub' };
    const response = await host
      .http()
      .post('/alikassa/payouts')
      .set('Prefer', 'wait=10')
      .send({ ...payload, order_id: randomUUID(), ...changes });
    return response.body as PayoutDto;
  };

  it('accepts every signature, and its signed notification settles the payout', async () => {
    const extra = {
      card_exp_year: '79',
      card_exp_month: '01',
      card_holder: 'ИВАН ИВАНОВ / "X"',
      card_country: 'UA',
      card_recipient_birth_date: '1999-12-15',
    };
    const cases = [
      { amount: 500, number: '79005554455', service: 'qiwi_rub', notification_endpoint_id: 5 },
      { customer_first_name: 'Иван', customer_last_name: "О'Нил/😀", customer_email: 'ivan@example.com' },
      { account: EUR, service: 'payment_card_eur', extra },
      { order_id: `заказ/\\"${randomUUID()}`, notification_endpoint_url: 'https://shop.example/a/b?c=d&e=f' },
    ];
    for (const [index, changes] of cases.entries()) {
      const payout = await create(changes);
      expect(payout).toMatchObject({ status: 'wait', provider_id: String(9007199254740993n + BigInt(index)) });
      const fields = {
        type: 'payout',
        id: payout.provider_id,
        order_id: payout.order_id,
        payment_status: 'paid',
        amount: payout.amount,
        payment_amount: payout.amount,
        commission_amount: '1.00',
        is_partial_payment: '0',
        account: payout.account,
        service: payout.service,
        desc: 'Выплата №1 / тест + 100%',
      };
      const command = { do: 'notify', fields, key: keys.notification.privateKey, digest: 'sha1' };
      const made = spawnSync('php', ['test/php/oracle.php'], { input: JSON.stringify(command), encoding: 'utf8' });
      const { out } = JSON.parse(made.stdout) as { out: string };
      await host.http().get(`/alikassa/notifications?${out}`).expect(200);
      await host.until(payout.id, 'paid');
    }
    const balance = await host.http().get(`/alikassa/balance?account=${RUB}`).expect(200);
    expect(balance.body).toMatchObject({ balance: '93.84000000' });
    expect(seen().map(({ valid }) => valid)).toEqual(Array.from({ length: cases.length + 1 }, () => true));
    expect(seen()[0]?.fields).toEqual(['amount', 'number', 'order_id', 'service', 'notification_endpoint_id']);
  });
});
