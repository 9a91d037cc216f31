import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { passesLuhn } from '../../src/payouts/card.number.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { phpJsonEncode } from '../../src/provider/php-json.js';
import { EUR, prepare, RUB, type TestSurroundings } from '../helpers/application.js';
import { dumpOf, formsOf } from '../helpers/canaries.js';
import { eventually } from '../helpers/until.js';
import { startService, type ServiceProcess } from '../helpers/service.js';

const letters = (alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
/** A card number of the issuer that passes the Luhn check. */
function card(issuer: string): string {
  const digits = issuer + letters('0123456789', 15 - issuer.length);
  const sum = Array.from(digits).reduce((total, digit, index) => {
    const doubled = Number(digit) * (index % 2 === 0 ? 2 : 1);
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return digits + String((10 - (sum % 10)) % 10);
}

/** Other values in every run: what leaks must not depend on them. */
const recipient = {
  number: card('553691'),
  customer_phone: `7900${letters('0123456789', 7)}`,
  customer_email: `${letters('abcdefgh', 12)}@example.com`,
  customer_first_name: letters('АБВГДЕЖЗ', 10),
  customer_last_name: letters('абвгдежз', 12),
};
const extra = {
  card_exp_year: '99',
  card_exp_month: '12',
  card_holder: letters('ABCDEFGH', 14),
  card_country: 'UA',
  card_recipient_birth_date: `19${randomInt(50, 99)}-0${randomInt(1, 9)}-1${randomInt(0, 9)}`,
};
const euroCard = card('411111');
const encryptionKey = randomBytes(32).toString('base64');
const token = randomBytes(24).toString('hex');

describe('what was told in confidence', () => {
  let parts: TestSurroundings;
  let folder: string;
  let env: Record<string, string>;
  let service: ServiceProcess | undefined;
  /** All that was seen of the application: answers, logs, dumps. */
  const seen: string[] = [];

  beforeAll(async () => {
    parts = await prepare();
    const { options, database, port, simulator } = parts;
    folder = mkdtempSync(join(tmpdir(), 'alikassa-canaries-'));
    writeFileSync(join(folder, 'private.pem'), options.privateKey, { mode: 0o600 });
    writeFileSync(join(folder, 'password.txt'), options.passphrase ?? '', { mode: 0o600 });
    env = {
      PORT: String(port),
      DATABASE_URL: database.url,
      LOG_LEVEL: 'verbose',
      ALIKASSA_BASE_URL: simulator.url,
      ALIKASSA_ACCOUNTS: `RUB:${RUB},EUR:${EUR}`,
      ALIKASSA_PRIVATE_KEY_PATH: join(folder, 'private.pem'),
      ALIKASSA_PRIVATE_KEY_PASSWORD_PATH: join(folder, 'password.txt'),
      ALIKASSA_NOTIFICATION_PUBLIC_KEY: String(options.notificationPublicKey),
      ALIKASSA_ENCRYPTION_KEYS: `k1:${encryptionKey}`,
      ALIKASSA_API_TOKENS: `all:payouts:create+payouts:read+payouts:operate:${createHash('sha256').update(token).digest('hex')}`,
      ALIKASSA_NOTIFICATION_URL: options.notificationUrl ?? '',
      ALIKASSA_TIMEOUT_MS: '1000',
      ALIKASSA_LEASE_MS: '1500',
      ALIKASSA_CHECK_SCHEDULE: '1s',
    };
    service = await startService(env, folder);
  });
  afterAll(async () => {
    await service?.kill('SIGKILL');
    await parts.stop();
    rmSync(folder, { recursive: true });
  });

  async function ask(path: string, body?: unknown, bearer = token): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${parts.port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    seen.push(JSON.stringify(Object.fromEntries(response.headers)), text);
    return { status: response.status, text };
  }
  const stop = async (signal: NodeJS.Signals): Promise<unknown> => {
    const end = await service?.kill(signal);
    seen.push(service?.output() ?? '');
    return end;
  };
  const order = (changes: object = {}): object => ({
    account: RUB,
    amount: '5.00',
    order_id: randomUUID(),
    service: 'payment_card_rub',
    ...recipient,
    ...changes,
  });
  const euros = (changes: object = {}): object =>
    order({ account: EUR, service: 'payment_card_eur', number: euroCard, extra, ...changes });
  const create = async (body: object): Promise<string> => {
    const { status, text } = await ask('/alikassa/payouts', body);
    expect([status, text]).toEqual([201, expect.any(String)]);
    return (JSON.parse(text) as PayoutDto).id;
  };
  const ends = (id: string, status: string): Promise<unknown> =>
    eventually(`payout ${id} is ${status}`, async () => {
      const { text } = await ask(`/alikassa/payouts/${id}`);
      await ask(`/alikassa/payouts/${id}/events`);
      return (JSON.parse(text) as PayoutDto).status === status;
    });
  const scripted = (changes: object, body: (changes: object) => object = order): object => {
    const order_id = randomUUID();
    parts.simulator.script({ on: 'payout', orderId: order_id, ...changes });
    return body({ order_id });
  };

  it('is used on every way that a payout can take', async () => {
    await ends(await create(euros()), 'paid');
    for (const [amount, status] of Object.entries({ '5.00': 'paid', '5.01': 'unknown', '5.02': 'fail' })) {
      await ends(await create(order({ amount })), status);
    }
    await ends(await create(scripted({ drop: 'after' }, euros)), 'paid');
    await ends(await create(scripted({ stall: true })), 'paid');
    const quoted = JSON.stringify({ message: `bad ${recipient.number}`, errors: { number: [recipient.number] } });
    await ends(await create(scripted({ answer: { status: 400, body: quoted }, accept: false })), 'unknown');
    await ends(await create(scripted({ answer: { status: 500, body: `<p>${recipient.number}</p>` } })), 'paid');
    await ends(await create(scripted({ raw: `HTTP/1.1 200 OK\r\nX: ${recipient.number}\r\n\r\n{` })), 'paid');
  });

  it('is sent with every fault that a client can make', async () => {
    const bad = [
      order({ amount: 'x' }),
      order({ number: `${recipient.number}${passesLuhn(`${recipient.number}1`) ? 2 : 1}` }),
      order({ account: recipient.number }),
      order({ [recipient.number]: 1 }),
      euros({ extra: { ...extra, card_country: 'XX' } }),
      euros({ extra: { ...extra, card_holder: [extra.card_holder] } }),
      `{"number": "${recipient.number}", `,
    ];
    for (const body of bad) expect((await ask('/alikassa/payouts', body)).status).toBe(400);
    const again = order();
    await create(again);
    expect((await ask('/alikassa/payouts', { ...again, number: euroCard })).status).toBe(409);
    expect((await ask('/alikassa/payouts', order(), 'wrong-token')).status).toBe(401);
    expect((await ask(`/alikassa/payouts/${recipient.number}`)).status).toBe(400);
    expect((await ask('/alikassa/payouts/search', { number: recipient.number })).status).toBe(200);
  });

  it('stands in notifications that nobody signed', async () => {
    const query = `type=payout&id=1&order_id=${recipient.number}&sign=${encodeURIComponent(recipient.number)}`;
    expect((await ask(`/alikassa/notifications?${query}`)).status).toBe(400);
    const sign = Buffer.alloc(256, 7).toString('base64');
    const forged = `type=payout&id=1&order_id=${recipient.number}&payment_status=paid&sign=${encodeURIComponent(sign)}`;
    expect((await ask(`/alikassa/notifications?${forged}`)).status).toBeGreaterThanOrEqual(400);
  });

  it('is there when the database fails', async () => {
    await parts.database.pool.query('ALTER TABLE alikassa_payouts RENAME TO away');
    expect((await ask('/alikassa/payouts', order())).status).toBe(500);
    await parts.database.pool.query('ALTER TABLE away RENAME TO alikassa_payouts');
    await parts.database.pool.query(
      "ALTER TABLE alikassa_payouts ADD CONSTRAINT nothing CHECK (service <> 'qiwi_rub')",
    );
    expect((await ask('/alikassa/payouts', order({ service: 'qiwi_rub' }))).status).toBe(500);
    await parts.database.pool.query('ALTER TABLE alikassa_payouts DROP CONSTRAINT nothing');
  });

  it('is there when the process is killed', async () => {
    const id = await create(scripted({ stall: true }, euros));
    await eventually('it is being sent', async () => (await ask(`/alikassa/payouts/${id}`)).text.includes('sending'));
    seen.push(await dumpOf(parts.database.pool));
    await stop('SIGKILL');
    service = await startService(env, folder);
    await ends(id, 'paid');
  });

  it('is nowhere to be found: not in answers, logs, tables, jobs, health, metrics or docs', async () => {
    for (const path of ['/health', '/metrics', '/docs', '/docs-json', '/', '/alikassa/payouts']) await ask(path);
    seen.push(await dumpOf(parts.database.pool));
    expect(await stop('SIGTERM')).toBe(0);
    const all = seen.join('\n');
    // The log was really at its most talkative, and the dump holds the payouts and the engine's tables.
    for (const proof of [/attempt 1/, /553691\*+/, /alikassa_worker/, /alikassa_payout_events/])
      expect(all).toMatch(proof);
    const { passphrase, privateKey, encryptionKeys } = parts.options;
    const values = {
      ...recipient,
      ...extra,
      euroCard,
      token,
      encryptionKey,
      passphrase: passphrase ?? '',
      privateKey: String(privateKey).split('\n')[3] ?? '',
    };
    expect(encryptionKeys).toHaveLength(1);
    for (const [name, value] of Object.entries(values)) {
      // Two digits or letters are found anywhere.
      if (/^card_(?:exp|country)/.test(name)) continue;
      expect(value.length).toBeGreaterThanOrEqual(8);
      const leaks = formsOf(value)
        .filter((form) => all.includes(form))
        .map((form) => all.slice(Math.max(0, all.indexOf(form) - 80), all.indexOf(form) + form.length));
      expect({ name, leaks }).toEqual({ name, leaks: [] });
    }
  });
});

describe('the search for them', () => {
  const name = recipient.customer_first_name;
  const json = JSON.stringify({ pad: 'x', name });
  it.each([
    ['as it is', json],
    ['in base64', Buffer.from(json).toString('base64')],
    ['in base64, one byte on', Buffer.from(`+${json}`).toString('base64')],
    ['in base64, two bytes on', Buffer.from(`++${json}`).toString('base64url')],
    ['in hex', Buffer.from(json).toString('hex')],
    ['in a URL', new URLSearchParams({ name }).toString()],
    ['as PHP writes it', phpJsonEncode({ name })],
  ])('would find a value %s', (_, text) => {
    expect(formsOf(name).some((form) => text.includes(form))).toBe(true);
  });
});
