import {
  classifyAnswer,
  classifyStatusAnswer,
  createAnswerReader,
  parseJson,
  readAccountInfoAnswer,
  readBalanceAnswer,
  readStatusAnswer,
} from '../../src/provider/provider.answer.js';

const answer = (httpStatus: number, body: string, headers: Record<string, string> = {}) => ({
  httpStatus,
  headers,
  body: Buffer.from(body),
});
const created = (body: string) => classifyAnswer(answer(200, body), createAnswerReader('12345'));
const refusal = (message: string, errors: unknown) =>
  classifyAnswer(answer(400, JSON.stringify({ message, errors })), createAnswerReader('12345'));
const status = (fields: string) =>
  classifyStatusAnswer(answer(200, `{"payment_status":"paid","id":7,"order_id":"A"${fields}}`), readStatusAnswer);

describe('JSON keeps every digit', () => {
  it.each([
    ['{"id":9223372036854775807}', { id: '9223372036854775807' }],
    ['{"id":-9223372036854775808}', { id: '-9223372036854775808' }],
    ['{"a":0.30000000000000004}', { a: 0.30000000000000004 }],
    ['{"a":1234567890123456.5,"b":1e10}', { a: 1234567890123456.5, b: 1e10 }],
    ['{"a":1234567890123456e2,"b":1234567890123456E+2}', { a: 123456789012345600, b: 123456789012345600 }],
    ['{"a":1234567890123456e-12,"b":1e00000000000000000002}', { a: 1234.567890123456, b: 100 }],
    ['{"a":"one\\ntwo 1234567890123456789"}', { a: 'one\ntwo 1234567890123456789' }],
    [
      '{"a":"x 9223372036854775807","b":"\\"1234567890123456789"}',
      { a: 'x 9223372036854775807', b: '"1234567890123456789' },
    ],
    ['{"a\\\\":[1234567890123456789,1]}', { 'a\\': ['1234567890123456789', 1] }],
  ])('in %s', (text, value) => {
    expect(parseJson(Buffer.from(text))).toEqual(value);
  });

  it.each(['', '{"id":01234567890123456789}', '{"a":1234567890123456789', '\u00ff', '"\u00ff"'])(
    'and %p is not JSON in UTF-8',
    (text) => {
      expect(parseJson(Buffer.from(text, 'latin1'))).toBeUndefined();
    },
  );

  it('reads a hostile text of the largest size at once', () => {
    const startedAt = performance.now();
    expect(parseJson(Buffer.from(`{"a":1234567890123456789,"b":"${'\\"'.repeat(120_000)}`))).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});

describe('the answer to a create', () => {
  it('is ok with the id as it was written', () => {
    expect(created('{"payment_status":"wait","id":9223372036854775807}')).toEqual({
      kind: 'ok',
      reason: 'http_200',
      value: { payment_status: 'wait', id: '9223372036854775807' },
    });
  });

  it.each(['"12345"', '12345'])('may echo our order_id as %s', (echo) => {
    const verdict = created(`{"payment_status":"wait","id":"1","order_id":${echo}}`);
    expect(verdict).toMatchObject({ kind: 'ok', value: { order_id: '12345' } });
  });

  it('may echo no order_id', () => {
    expect(created('{"payment_status":"wait","id":1,"order_id":null}')).toMatchObject({
      kind: 'ok',
      value: { payment_status: 'wait', id: '1' },
    });
  });

  it.each([
    ['not_json', ''],
    ['not_json', '<html></html>'],
    ['not_json', '{"payment_status":"wait","id":1'],
    ['not_an_object', '[]'],
    ['not_an_object', 'null'],
    ['id_unreadable', '{"payment_status":"wait"}'],
    ['id_unreadable', '{"payment_status":"wait","id":1.5}'],
    ['id_unreadable', '{"payment_status":"wait","id":0}'],
    ['id_unreadable', '{"payment_status":"wait","id":9223372036854775808}'],
    ['id_unreadable', '{"payment_status":"wait","id":1e16}'],
    ['id_unreadable', '{"payment_status":"wait","id":"07"}'],
    ['id_unreadable', '{"payment_status":"wait","id":"7x"}'],
    ['id_unreadable', '{"payment_status":"wait","id":[7]}'],
    ['status_unreadable', '{"payment_status":"new","id":1}'],
    ['other_order', '{"payment_status":"wait","id":1,"order_id":"12346"}'],
    ['other_order', '{"payment_status":"wait","id":1,"order_id":{}}'],
  ])('is unclear (%s): %s', (reason, body) => {
    expect(created(body)).toEqual({ kind: 'unclear', reason });
  });

  it('is unclear if it is compressed, which nobody asked for', () => {
    const gzip = answer(200, '{"payment_status":"wait","id":1}', { 'content-encoding': 'gzip' });
    expect(classifyAnswer(gzip, createAnswerReader('1'))).toMatchObject({ kind: 'unclear', reason: 'encoded_answer' });
  });

  it('is read where it says that it is not compressed', () => {
    const plain = answer(200, '{"payment_status":"wait","id":1}', { 'content-encoding': 'identity' });
    expect(classifyAnswer(plain, createAnswerReader('1')).kind).toBe('ok');
  });
});

describe('the documented 400', () => {
  it('is refused, with the fields that it names', () => {
    expect(refusal('The given data was invalid.', { amount: ['too small', 'no'] })).toEqual({
      kind: 'refused',
      reason: 'http_400',
      message: 'The given data was invalid.',
      errors: { amount: ['too small', 'no'] },
    });
  });

  it.each<[string, unknown]>([
    ['no errors', undefined],
    ['a list of errors', ['x']],
    ['an empty object of errors', {}],
    ['a text instead of texts', { amount: 'x' }],
    ['numbers instead of texts', { amount: [1] }],
    ['one field with texts and one without', { amount: ['x'], number: 'y' }],
    ['a number among texts', { amount: ['x', 1] }],
  ])('of another shape is unclear: %s', (_, errors) => {
    expect(refusal('m', errors).kind).toBe('unclear');
  });

  it.each(['', 'null', '[]', '"x"', '{"errors":{"amount":["x"]}}', '{"message":1,"errors":{"amount":["x"]}}'])(
    'is not this: %s',
    (body) => {
      expect(classifyAnswer(answer(400, body), createAnswerReader('1'))).toEqual({
        kind: 'unclear',
        reason: 'http_400',
      });
    },
  );

  it('shows no run of six digits, however it is grouped, also where a text is cut', () => {
    const shown = JSON.stringify(
      refusal(`${'x'.repeat(195)}4111111111111111`, {
        '4111111111111111': ['4111 1111 1111 1111', '4111-1111-1111-1111', 'phone 79001112233, code 12345'],
      }),
    );
    expect(shown).not.toMatch(/4111|7900|1111/);
    expect(shown).toContain('phone ******, code 12345');
  });

  it.each([
    ['a NUL', 'a\0b', 'a?b'],
    ['a line break', 'a\nb', 'a?b'],
    ['half a character', 'a\ud800b', 'a?b'],
    ['a character that is cut in two', `${'x'.repeat(199)}😀`, `${'x'.repeat(199)}?`],
  ])('keeps %s as "?", since Postgres cannot store it', (_, text, kept) => {
    expect(refusal(text, { [text]: [text] })).toMatchObject({ message: kept, errors: { [kept]: [kept] } });
  });

  it('is bounded: 200 characters a text, 20 texts a field, 20 fields', () => {
    const texts = Array.from({ length: 30 }, () => 'y'.repeat(500));
    const errors = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, texts]));
    const verdict = refusal('x'.repeat(500), errors);
    if (verdict.kind !== 'refused') throw new Error('not refused');
    expect(verdict.message).toHaveLength(200);
    expect(Object.keys(verdict.errors)).toHaveLength(20);
    expect(verdict.errors['f0']).toEqual(Array.from({ length: 20 }, () => 'y'.repeat(200)));
  });
});

describe('Retry-After', () => {
  const wait = (value: unknown) => {
    const limited = { ...answer(429, ''), headers: { 'retry-after': value } };
    const verdict = classifyAnswer(limited, createAnswerReader('1'));
    return verdict.kind === 'rate_limited' ? verdict.retryAfterMs : verdict.kind;
  };

  it.each([
    ['0', 0],
    ['30', 30_000],
    ['86400', 3_600_000],
    ['99999999999999999999', 3_600_000],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
    ['on Wed, 21 Oct 2015 07:28:00 GMT', undefined],
    ['Wed, 21 Oct 2015 07:28:00 GMT+0100', undefined],
    [undefined, undefined],
    [['7'], undefined],
  ])('%p is %p ms', (value, ms) => {
    expect(wait(value)).toBe(ms);
  });

  it('takes a date in the future', () => {
    const ms = wait(new Date(Date.now() + 60_000).toUTCString());
    expect(ms).toBeGreaterThan(50_000);
    expect(ms).toBeLessThanOrEqual(60_000);
  });
});

describe('the answer to a status call', () => {
  it.each([
    ['true', true],
    ['1', true],
    ['"1"', true],
    ['"true"', true],
    ['"TRUE"', true],
    ['" Yes "', true],
    ['"on"', true],
    ['"t"', true],
    ['"y"', true],
    ['1.0', true],
    ['"1.0"', true],
    ['false', false],
    ['0', false],
    ['"0"', false],
    ['"false"', false],
    ['"False"', false],
    ['"no"', false],
    ['"off"', false],
    ['"f"', false],
    ['"n"', false],
    ['"0.0"', false],
    ['null', undefined],
    ['""', undefined],
  ])('reads is_partial_payment %s', (text, value) => {
    expect(status(`,"is_partial_payment":${text}`)).toMatchObject({ kind: 'ok', value: { is_partial_payment: value } });
  });

  it.each(['"maybe"', '2', '[]', '[1]', '["true"]', '{}', '"null"', '-1', '"11"'])(
    'is unclear if is_partial_payment is %s: a part must not pass for the whole',
    (text) => {
      expect(status(`,"is_partial_payment":${text}`)).toMatchObject({ kind: 'unclear', reason: 'partial_unreadable' });
    },
  );

  it.each([
    ['"300.00"', '300.00'],
    ['300', '300'],
    ['300.5', '300.5'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['12345678901234567', '12345678901234567'],
    ['null', undefined],
    ['""', undefined],
  ])('reads the amount %s', (text, amount) => {
    const verdict = status(`,"amount":${text}`);
    expect(verdict.kind === 'ok' ? verdict.value.amount : verdict).toBe(amount);
  });

  it('keeps everything that is documented', () => {
    const value = {
      payment_status: 'paid',
      id: '7',
      order_id: 'A',
      amount: '300.00',
      payment_amount: '299.00',
      is_partial_payment: true,
      account_payment_amount: '298.00',
      commission_amount: '1.00',
      service_code: 'payment_card_rub',
      card_mask: '411111******1111',
      RRN: '012345678901',
      account_old_balance: '1000.00',
      account_new_balance: '701.00',
    };
    const body = JSON.stringify({ ...value, undocumented: 'x' });
    expect(classifyStatusAnswer(answer(200, body), readStatusAnswer)).toEqual({
      kind: 'ok',
      reason: 'http_200',
      value,
    });
  });

  it.each([
    ['id_unreadable', '{"payment_status":"paid","order_id":"A"}'],
    ['status_unreadable', '{"payment_status":"PAID","id":7,"order_id":"A"}'],
    ['order_id_unreadable', '{"payment_status":"paid","id":7}'],
    ['order_id_unreadable', '{"payment_status":"paid","id":7,"order_id":true}'],
  ])('is unclear (%s): %s', (reason, body) => {
    expect(classifyStatusAnswer(answer(200, body), readStatusAnswer)).toEqual({ kind: 'unclear', reason });
  });

  it.each([
    ['not_found', 'order_id'],
    ['not_found', 'id'],
    ['unclear', 'account'],
  ])('is %s if a 400 names %s', (kind, field) => {
    const body = JSON.stringify({ message: 'm', errors: { [field]: ['x'] } });
    expect(classifyStatusAnswer(answer(400, body), readStatusAnswer)).toEqual({ kind, reason: 'http_400' });
    expect(classifyStatusAnswer(answer(404, body), readStatusAnswer)).toEqual({ kind, reason: 'http_404' });
  });

  it.each([
    '',
    '<html>Not Found</html>',
    '{"message":"no Route matched with those values"}',
    '{"message":"Not found","errors":{}}',
    '{"message":"Not found","errors":[]}',
    '{"errors":{"order_id":["x"]}}',
    '{"message":"m","errors":{"order_id":"x"}}',
    '["order_id"]',
  ])('says nothing as a 404 that any proxy may give: %s', (body) => {
    expect(classifyStatusAnswer(answer(404, body), readStatusAnswer)).toEqual({ kind: 'unclear', reason: 'http_404' });
  });

  it('says nothing under any other status, whatever its body', () => {
    const body = JSON.stringify({ message: 'm', errors: { order_id: ['x'] } });
    for (const httpStatus of [402, 405, 410, 422, 500]) {
      expect(classifyStatusAnswer(answer(httpStatus, body), readStatusAnswer).kind).toBe('unclear');
    }
  });

  it.each(['"3e2"', '"1,000.00"', '"abc"', '1e30', 'true', '{}', '" 1"', '"0x10"', '[300]'])(
    'is unclear if the amount is %s',
    (text) => {
      expect(status(`,"amount":${text}`)).toMatchObject({ kind: 'unclear', reason: 'amount_unreadable' });
    },
  );

  it.each<[number, string]>([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [404, 'unclear'],
    [429, 'rate_limited'],
    [500, 'unclear'],
  ])('%i is %s', (httpStatus, kind) => {
    expect(classifyStatusAnswer(answer(httpStatus, ''), readStatusAnswer).kind).toBe(kind);
  });
});

describe('the answers about an account', () => {
  const balance = (body: string) => classifyAnswer(answer(200, body), readBalanceAnswer);
  const info = (body: object) => classifyAnswer(answer(200, JSON.stringify(body)), readAccountInfoAnswer);

  it('reads a balance, written as text or as a number', () => {
    const text =
      '{"currency":"RUB","balance":"93.84000000","hold":1.5,"rolling_reserve":"0.10","pending_payouts":"2.00"}';
    expect(balance(text)).toMatchObject({
      kind: 'ok',
      value: { currency: 'RUB', balance: '93.84000000', hold: '1.5', rolling_reserve: '0.10', pending_payouts: '2.00' },
    });
  });

  it.each(['{"currency":"RUB"}', '{"balance":"1"}', '{"currency":"RUB","balance":"much"}'])(
    'is unclear without a balance or its currency: %s',
    (body) => {
      expect(balance(body)).toEqual({ kind: 'unclear', reason: 'balance_unreadable' });
    },
  );

  it('reads what an account may do', () => {
    const payout = { method: 'card', currency: 'RUB', service_code: 'payment_card_rub', status: 'active' };
    const payment = { ...payout, service_code: 'card_rub' };
    const flags = { is_allowed_payment: false, is_allowed_payout: true };
    expect(info({ ...flags, is_allowed_payment: 0, payments: [payment], payouts: [payout] })).toMatchObject({
      kind: 'ok',
      value: { ...flags, payments: [payment], payouts: [payout] },
    });
  });

  it('reads a list of methods as far as it can', () => {
    const empty = { method: '', currency: '', service_code: '', status: '' };
    expect(info({ is_allowed_payment: 1, is_allowed_payout: 1, payouts: [null, {}, 'x'] })).toMatchObject({
      value: { payments: [], payouts: [empty] },
    });
  });

  it.each([{ is_allowed_payment: true }, { is_allowed_payout: true }, { is_allowed_payment: 2, is_allowed_payout: 1 }])(
    'is unclear where it is not said what the account may do: %j',
    (body) => {
      expect(info(body)).toEqual({ kind: 'unclear', reason: 'account_unreadable' });
    },
  );
});
