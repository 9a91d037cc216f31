import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { DataSource, type Logger } from 'typeorm';
import { EUR, RUB } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { startReference, TOKENS, type Answer, type ReferenceApplication } from '../helpers/reference.js';
import { signedQuery, signOf, withSign } from '../helpers/notification.query.js';

const CARD = '4111111111111111';
const EXTRA = {
  card_exp_year: '79',
  card_exp_month: '01',
  card_holder: 'CARDHOLDER NAME',
  card_country: 'UA',
  card_recipient_birth_date: '1987-06-05',
};
const CUSTOMER = {
  customer_phone: '79001112233',
  customer_email: 'ivan.petrov@example.com',
  customer_code: 'sberbank',
  customer_first_name: 'Иванушка',
  customer_last_name: 'Петровский',
};
const LONG = 'x'.repeat(256);
let host: ReferenceApplication;
/** Statements that have reached the database. */
let statements = 0;

beforeAll(async () => {
  // Without a worker whatever reaches the database comes from a request.
  host = await startReference({ worker: { enabled: false } });
  const count = (): void => void (statements += 1);
  const logger: Partial<Logger> = { logQuery: count, logQueryError: count, logQuerySlow: count };
  host.app.get(DataSource).setOptions({ logging: true, logger: logger as Logger });
});
afterAll(async () => host.stop());
beforeEach(() => (statements = 0));

/** A complete payout of an EUR account: every value about the recipient is there to be echoed. */
const order = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
  payload({ account: EUR, number: CARD, service: 'payment_card_eur', extra: EXTRA, ...CUSTOMER, ...changes });
const post = (body: unknown, headers?: object): Promise<Answer> =>
  host.call(TOKENS.all.text, 'POST', 'payouts', body, headers);

/** Everything that was sent about the recipient: keys and values of the body but for the order's own. */
function recipientIn(value: unknown): string[] {
  if (typeof value === 'string' || typeof value === 'number') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    ['account', 'order_id', 'service', 'amount', 'notification_endpoint_url'].includes(key) ? [] : recipientIn(inner),
  );
}

/** A refusal of this status, in the documented form, that echoes nothing and has stored nothing. */
async function expectRefused(answer: Answer, status: number, sent: unknown, named = ''): Promise<void> {
  expect([answer.status, answer.body]).toEqual([
    status,
    {
      statusCode: status,
      error: expect.any(String) as string,
      code: expect.stringMatching(/^[a-z_]+$/) as string,
      message: expect.anything() as unknown,
    },
  ]);
  expect(JSON.stringify(answer.body['message'])).toContain(named);
  for (const value of [...recipientIn(order()), ...recipientIn(sent)].filter((text) => text.length > 3)) {
    expect(answer.text).not.toContain(value);
  }
  const { rows } = await host.database.pool.query('SELECT 1 FROM alikassa_payouts WHERE number_masked = $1', [CARD]);
  expect(rows).toEqual([]);
}

it('a complete payout of an EUR account is accepted, so that each refusal below is for its one fault', async () => {
  const { status, text } = await post(order());
  expect([status, text]).toEqual([201, expect.stringContaining('411111******1111')]);
});

describe('an amount of', () => {
  it.each([
    ['0', '"0"'],
    ['0 as a number', '0'],
    ['-0', '-0'],
    ['0.00', '"0.00"'],
    ['less than nothing', '"-1"'],
    ['less than nothing, as a number', '-1'],
    ['NaN', '"NaN"'],
    ['infinity', '"Infinity"'],
    ['1e3', '"1e3"'],
    ['1e3 as a number', '1e3'],
    ['1E+3 as a number', '1E+3'],
    ['three decimals', '"1.234"'],
    ['three decimals as a number', '1.234'],
    ['decimals as a number', '1000.44'],
    ['1000.0 as a number', '1000.0'],
    ['more than the maximum', '"1000000000"'],
    ['more than the maximum as a number', '1000000000'],
    ['Arabic digits', '"١٢"'],
    ['fullwidth digits', '"１２"'],
    ['more digits than are exact', '9007199254740993'],
    ['decimals beyond what is exact', '500.0000000000000000001'],
    ['a number too large for any', '1e400'],
    ['nothing', '""'],
    ['a blank', '" 1"'],
    ['a plus', '"+1"'],
    ['hexadecimal', '"0x10"'],
    ['a comma', '"1,5"'],
    ['null', 'null'],
    ['true', 'true'],
    ['an array', '["1"]'],
    ['an object', '{"amount":"1"}'],
  ])('%s is refused by name', async (_, amount) => {
    const body = order();
    const text = JSON.stringify({ ...body, amount: 'AMOUNT' }).replace('"AMOUNT"', amount);
    await expectRefused(await post(text), 400, body, 'amount must be');
  });

  it('none is refused by name', async () => {
    const { amount: _, ...body } = order();
    await expectRefused(await post(body), 400, body, 'amount must be');
  });

  it.each(['500', ' 500 ', '"500"', '"500.00"'])('%s is accepted', async (amount) => {
    const text = JSON.stringify({ ...order(), amount: 'AMOUNT' }).replace('"AMOUNT"', amount);
    const { status, body } = await post(text);
    expect([status, body['amount']]).toEqual([201, '500.00']);
  });
});

describe('a body with', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['an unknown field', { recipient: CARD }, 'property recipient'],
    ['a card number as the name of a field', { [CARD]: '1' }, 'property'],
    ['an unknown field inside extra', { extra: { ...EXTRA, card_cvc: '123' } }, 'extra.card_cvc'],
    ['an array for a scalar', { number: [CARD] }, 'number'],
    ['an object for a scalar', { number: { number: CARD } }, 'number'],
    ['an array for extra', { extra: [EXTRA] }, 'extra'],
    ['text for extra', { extra: 'CARDHOLDER' }, 'extra'],
    ['an object for a name', { customer_first_name: { a: 'Иванушка' } }, 'customer_first_name'],
    ['a NUL', { customer_first_name: 'Иван\0ушка' }, 'customer_first_name'],
    ['a control character in a name', { customer_last_name: 'Петров\u0007ский' }, 'customer_last_name'],
    ['a control character in order_id', { order_id: 'A\n1' }, 'order_id'],
    ['a control character in service', { service: 'a\u0085b' }, 'service'],
    ['a control character in number', { number: '4111\t1111' }, 'number'],
    ['a control character in an e-mail address', { customer_email: '"ivan\u0001"@example.com' }, 'customer_email'],
    ['a control character in extra', { extra: { ...EXTRA, card_holder: 'A\u0000' } }, 'extra.card_holder'],
  ])('%s is refused by name', async (_, changes, named) => {
    const body = order(changes);
    await expectRefused(await post(body), 400, body, named);
  });

  it.each([
    ['__proto__', '{"__proto__":{"amount":"1"},'],
    ['__proto__ inside extra', '{"extra":{"__proto__":{"card_holder":"A"}},'],
    ['constructor', '{"constructor":{"prototype":{"amount":"1"}},'],
    ['a lone surrogate', '{"customer_code":"\\ud800",'],
    ['a lone surrogate in an e-mail address', '{"customer_email":"ivan@\\ud800.example.com",'],
    ['a lone low surrogate', '{"customer_code":"a\\udc00b",'],
    ['5,000 arrays, each inside the one before', `{"customer_code":${'['.repeat(5_000)}${']'.repeat(5_000)},`],
    ['8,000 objects, each inside the one before', `{"x":${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)},`],
    ['5,000 unknown fields', `{${Array.from({ length: 5_000 }, (_, i) => `"f${i}":1,`).join('')}`],
  ])('%s is refused', async (_, start) => {
    const { customer_code: _code, customer_email: _email, extra: _extra, ...rest } = order();
    const answer = await post(start + JSON.stringify(rest).slice(1));
    await expectRefused(answer, 400, rest);
    expect(answer.text.length).toBeLessThan(5_000);
  });
});

describe('beyond its limit', () => {
  it.each<[string, string, unknown]>([
    ['order_id', 'of 129 characters', 'x'.repeat(129)],
    ['order_id', 'empty', ''],
    ['service', 'of 101 characters', 'x'.repeat(101)],
    ['notification_endpoint_url', 'of 256 characters', `https://a.example/${LONG}`.slice(0, 256)],
    ['notification_endpoint_url', 'by ftp', 'ftp://a.example/'],
    ['notification_endpoint_url', 'of a script', 'javascript:alert(1)'],
    ['notification_endpoint_url', 'of a file', 'file:///etc/passwd'],
    ['notification_endpoint_url', 'relative', '//a.example/'],
    ['notification_endpoint_id', 'not whole', 1.5],
    ['notification_endpoint_id', 'as text', '5'],
    ['notification_endpoint_id', 'of 0', 0],
    ['notification_endpoint_id', 'beyond what is exact', 2 ** 53],
    ['number', 'of 65 characters', '4'.repeat(65)],
    ['customer_phone', 'of 21 digits', '7'.repeat(21)],
    ['customer_email', 'of 255 characters', `${'x'.repeat(243)}@example.com`],
    ['customer_email', 'that is none', 'ivan.petrov'],
    ['customer_code', 'of 101 characters', 'x'.repeat(101)],
    ['customer_first_name', 'of 101 characters', 'И'.repeat(101)],
    ['customer_last_name', 'of 101 characters', 'П'.repeat(101)],
  ])('%s %s is refused by name', async (field, _, value) => {
    const body = order({ [field]: value });
    await expectRefused(await post(body), 400, body, field);
  });
});

describe('an EUR account', () => {
  it.each(Object.keys(EXTRA))('without extra.%s is refused by that name', async (field) => {
    const body = order({ extra: { ...EXTRA, [field]: undefined } });
    await expectRefused(await post(body), 400, body, `extra.${field}`);
  });

  it('without extra is refused by every name', async () => {
    const { extra: _, ...body } = order();
    const answer = await post(body);
    for (const field of Object.keys(EXTRA)) await expectRefused(answer, 400, body, `extra.${field}`);
  });

  it.each([
    ['card_recipient_birth_date', 'an impossible date', '1987-02-29'],
    ['card_recipient_birth_date', 'an impossible month', '1987-13-01'],
    ['card_recipient_birth_date', 'a date to come', '2999-01-01'],
    ['card_recipient_birth_date', 'another order', '05-06-1987'],
    ['card_exp_year', 'an expired card', '20'],
    ['card_exp_year', 'four digits', '2079'],
    ['card_exp_month', 'a month too many', '13'],
    ['card_exp_month', 'one digit', '1'],
    ['card_country', 'an unknown country', 'ZZ'],
    ['card_country', 'lower case', 'ua'],
    ['card_holder', '101 characters', 'X'.repeat(101)],
  ])('with extra.%s of %s is refused by that name', async (field, _, value) => {
    const body = order({ extra: { ...EXTRA, [field]: value } });
    await expectRefused(await post(body), 400, body, `extra.${field}`);
  });
});

describe('a number that looks like a card, on a card service', () => {
  it.each(['4111111111111112', '4111-1111-1111-1112', '5555555555554445', '6011000990139425000'])(
    '%s fails the Luhn check, and is refused without an echo',
    async (number) => {
      const body = order({ number });
      const answer = await post(body);
      await expectRefused(answer, 400, body, 'number');
      expect(answer.text).not.toMatch(/\d{4}/);
    },
  );
});

describe('an account', () => {
  it.each([
    ['that is not configured', randomUUID()],
    ['that is no uuid', 'RUB'],
    ['left out, where there are two', undefined],
    ['of null, where there are two', null],
  ])('%s is refused by name', async (_, account) => {
    const body = order({ account });
    await expectRefused(await post(body), 400, body, 'account');
    await expectRefused(
      await host.call(TOKENS.all.text, 'GET', `balance?account=${account ?? ''}`),
      400,
      {},
      'account',
    );
  });
});

it('the same order_id with other content is a conflict, and nothing of either is echoed', async () => {
  const body = order();
  expect((await post(body)).status).toBe(201);
  for (const changes of [{ amount: '12.01' }, { number: '5555555555554444' }, { customer_first_name: 'Другой' }]) {
    await expectRefused(await post({ ...body, ...changes }), 409, { ...body, ...changes }, 'order_id');
  }
});

describe('a body that cannot be read', () => {
  const TEXT = JSON.stringify({ number: CARD, customer_first_name: 'Иванушка', filler: 'x'.repeat(102_400) });

  it.each<[number, string, string | Buffer, object]>([
    [413, 'of more than 100 KB', TEXT, {}],
    [413, 'of more than 100 KB once it is unpacked', gzipSync(TEXT), { 'content-encoding': 'gzip' }],
    [400, 'of malformed JSON', `{"number":"${CARD}",}`, {}],
    [400, 'of malformed JSON right behind the number', `{"number":"${CARD}"x`, {}],
    [400, 'cut off', `{"number":"${CARD}`, {}],
    [400, 'of text alone', CARD, {}],
    [400, 'of an array', `["${CARD}"]`, {}],
    [400, 'of nothing', '', {}],
    [400, 'that is not gzip, though it says so', `{"number":"${CARD}"}`, { 'content-encoding': 'gzip' }],
    [415, 'of an unknown encoding', `{"number":"${CARD}"}`, { 'content-encoding': 'pack200' }],
    [415, 'of an unknown character set', `{"number":"${CARD}"}`, { 'content-type': 'application/json; charset=x' }],
    [415, 'of text/plain', `{"number":"${CARD}"}`, { 'content-type': 'text/plain' }],
    [415, 'of a form', `number=${CARD}`, { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, 'of XML', `<number>${CARD}</number>`, { 'content-type': 'application/xml' }],
    [415, 'of no type', Buffer.from(`{"number":"${CARD}"}`), { 'content-type': '' }],
  ])('is answered with %i: %s', async (status, _, text, headers) => {
    await expectRefused(await post(text, headers), status, { number: CARD });
    expect(statements).toBe(0);
  });
});

const ALARM = { outcome: 'acknowledge', reason: 'r', attention: ['overdue'] };
/** What a decision needs beside its body. */
const SEEN = { 'if-match': '"1"' };

describe('a resolve, a list and an id', () => {
  it.each([
    ['POST', `payouts/${randomUUID()}`, 404, 'Cannot POST'],
    ['GET', `payouts/${randomUUID()}`, 404, 'payout'],
    ['GET', `payouts/${randomUUID()}/events`, 404, 'payout'],
    ['POST', `payouts/${randomUUID()}/refresh`, 404, 'payout'],
    ['POST', `payouts/${randomUUID()}/withdraw`, 404, 'payout'],
    ['GET', `payouts/${CARD}`, 400, 'id must be a uuid'],
    ['GET', `payouts/${CARD}/events`, 400, 'id must be a uuid'],
    ['POST', `payouts/${CARD}/refresh`, 400, 'id must be a uuid'],
    ['POST', `payouts/${CARD}/withdraw`, 400, 'id must be a uuid'],
    ['GET', 'payouts/%00', 400, 'id must be a uuid'],
    ['GET', 'payouts/%ff', 400, 'cannot be read'],
    ['GET', 'payouts?limit=0', 400, 'limit'],
    ['GET', 'payouts?limit=1&limit=2', 400, 'limit'],
    ['GET', 'payouts?status=lost', 400, 'status'],
    ['GET', 'payouts?order_id=%00', 400, 'order_id'],
    ['GET', 'payouts?cursor=x', 400, 'cursor'],
    ['GET', `payouts?number=${CARD}`, 400, 'number'],
    ['GET', `balance?account=${RUB}&account=${EUR}`, 400, 'account'],
    ['GET', 'account?account=x', 400, 'account'],
  ])('%s %s is answered with %i', async (method, path, status, named) => {
    const seen = method === 'POST' ? SEEN : {};
    await expectRefused(
      await host.call(TOKENS.all.text, method, path, undefined, seen),
      status,
      { number: CARD },
      named,
    );
  });

  it.each([
    [404, 'an unknown id', randomUUID(), { outcome: 'fail', reason: 'r' }, 'payout'],
    [400, 'a malformed id', CARD, { outcome: 'fail', reason: 'r' }, 'id must be a uuid'],
    [400, 'an unknown outcome', randomUUID(), { outcome: 'cancel', reason: 'r' }, 'outcome'],
    [400, 'no reason', randomUUID(), { outcome: 'fail' }, 'reason'],
    [400, 'a reason that is no text', randomUUID(), { outcome: 'fail', reason: ['r'] }, 'reason'],
    [400, 'a reason of 501 characters', randomUUID(), { outcome: 'fail', reason: 'r'.repeat(501) }, 'reason'],
    [400, 'an unknown field', randomUUID(), { outcome: 'fail', reason: 'r', amount: '1' }, 'amount'],
    [400, 'alarms beside another outcome', randomUUID(), { ...ALARM, outcome: 'fail' }, 'attention'],
    [400, 'no alarm to close', randomUUID(), { outcome: 'acknowledge', reason: 'r' }, 'attention'],
    [400, 'an empty list of alarms', randomUUID(), { ...ALARM, attention: [] }, 'attention'],
    [400, 'an alarm twice', randomUUID(), { ...ALARM, attention: ['overdue', 'overdue'] }, 'attention'],
    [400, 'an unknown alarm', randomUUID(), { ...ALARM, attention: ['hot'] }, 'attention'],
    [400, 'alarms that are no list', randomUUID(), { ...ALARM, attention: 'overdue' }, 'attention'],
    [400, 'unasked that is not true', randomUUID(), { outcome: 'fail', reason: 'r', unasked: false }, 'unasked'],
  ])('a resolve is answered with %i for %s', async (status, _, id, decision, named) => {
    const answer = await host.call(TOKENS.all.text, 'POST', `payouts/${id}/resolve`, decision, SEEN);
    await expectRefused(answer, status, {}, named);
  });
});

describe('a notification', () => {
  const query = (changes: Record<string, string> = {}): string => signedQuery(host.simulator, changes);
  const signatureOf = (text: string): Buffer => Buffer.from(signOf(text), 'base64');

  it.each<[number, string, (text: string) => string]>([
    [400, 'without sign', (text) => text.replace(/&?sign=[^&]*/, '')],
    [400, 'with sign twice', (text) => `${text}&${/sign=[^&]*/.exec(text)?.[0]}`],
    [400, 'with sign that is base64url', (text) => withSign(text, signatureOf(text).toString('base64url'))],
    [
      400,
      'with sign that has a space at its end',
      (text) => withSign(text, `${signatureOf(text).toString('base64')} `),
    ],
    [
      400,
      'with sign without padding',
      (text) => withSign(text, signatureOf(text).toString('base64').replace(/=+$/, '')),
    ],
    [400, 'with sign a byte too short', (text) => withSign(text, signatureOf(text).subarray(1).toString('base64'))],
    [400, 'with sign a byte too long', (text) => withSign(text, `AAAA${signatureOf(text).toString('base64')}`)],
    [400, 'with an empty sign', (text) => withSign(text, '')],
    [400, 'with a repeated parameter', (text) => `${text}&amount=12.00`],
    [400, 'with a parameter repeated in disguise', (text) => `${text}&amount%5B%5D=1`],
    [400, 'of more than 8 KB', (text) => `${text}&x=${'x'.repeat(8_192)}`],
    [400, 'without its id', (text) => text.replace(/(^|&)id=[^&]*/, '')],
    [400, 'of nothing', () => ''],
    [403, 'with another amount than was signed', (text) => text.replaceAll('12.00', '13.00')],
    [403, 'with a signature of nothing', (text) => withSign(text, Buffer.alloc(256).toString('base64'))],
  ])('is answered with %i, and without a query to the database: %s', async (status, _, spoil) => {
    const spoilt = spoil(query());
    await expectRefused(await host.call(undefined, 'GET', `notifications?${spoilt}`), status, {});
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    await expectRefused(await host.call(undefined, 'POST', 'notifications', spoilt, form), status, {});
    expect(statements).toBe(0);
  });

  it('that is signed reaches the database, so that the counts above mean something', async () => {
    expect((await host.call(undefined, 'GET', `notifications?${query()}`)).status).toBe(200);
    expect(statements).toBeGreaterThan(0);
  });
});
