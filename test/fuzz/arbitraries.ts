import fc from 'fast-check';
import { EUR, RUB } from '../helpers/application.js';

/** A body as text, and whatever it pays to: that must not come back. */
export interface FuzzBody {
  text: string;
  numbers: string[];
}

const CARD = '4111111111111111';
const UNITS = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 })
  .map((units) => String.fromCharCode(...units));
const NASTY = [
  '',
  ' ',
  '\0',
  '\ud800',
  '\udc00\ud800',
  '😀'.repeat(120),
  'x'.repeat(300),
  '__proto__',
  'constructor',
  'toString',
  'then',
  "'; DROP TABLE alikassa_payouts; --",
  '${1+1}',
  '%00',
  '../../etc/passwd',
  'NaN',
  'Infinity',
  '1e309',
  '-0',
  '٣',
  '\u202e',
];
const NUMBERS = ['0', '-0', '-1', '1', '1e3', '1e309', '1.5', '9007199254740993', '1E-7', '500'];

/** Any text, lone surrogates included. */
export const anyText = fc.oneof(
  fc.constantFrom(...NASTY),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  UNITS,
);

export const wellFormedText = anyText.map((text) => text.replace(/\p{Cs}/gu, '\ufffd'));

/** JSON text of any value; numbers as no JavaScript number is written. */
export const jsonText: fc.Arbitrary<string> = fc.oneof(
  anyText.map((text) => JSON.stringify(text)),
  fc.constantFrom('null', 'true', 'false', '[]', '{}', ...NUMBERS),
  fc.double().map((value) => JSON.stringify(value)),
  fc.bigInt().map(String),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.constantFrom(3, 10, 5_000).chain((depth) => fc.constantFrom(nested('[', ']', depth), nested('{"a":', '}', depth))),
);

function nested(open: string, close: string, depth: number): string {
  return `${open.repeat(depth)}1${close.repeat(depth)}`;
}

/** Mostly what is right, so that the other fields are looked at too. */
const mostly = (good: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 20, arbitrary: good }, { weight: 1, arbitrary: jsonText });
const literal = (...values: unknown[]): fc.Arbitrary<string> =>
  mostly(fc.constantFrom(...values.map((value) => JSON.stringify(value))));

/** An object's text; a key may be missing, doubled, or one that nobody knows. */
function objectText(fields: Record<string, fc.Arbitrary<string>>): fc.Arbitrary<string> {
  const known = Object.entries(fields).map(([key, value]) =>
    fc.oneof(
      { weight: 40, arbitrary: value.map((text) => [`${JSON.stringify(key)}:${text}`]) },
      {
        weight: 1,
        arbitrary: fc.tuple(value, value).map((texts) => texts.map((text) => `${JSON.stringify(key)}:${text}`)),
      },
      { weight: 1, arbitrary: fc.constant([]) },
    ),
  );
  const unknown = fc.oneof(
    { weight: 9, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(
        fc.tuple(anyText, jsonText).map(([key, text]) => `${JSON.stringify(key)}:${text}`),
        { maxLength: 3 },
      ),
    },
  );
  return fc.tuple(unknown, ...known).map((parts) => `{${parts.flat().join(',')}}`);
}

const extraText = objectText({
  card_exp_year: literal('79'),
  card_exp_month: literal('01'),
  card_holder: literal('CARDHOLDER NAME'),
  card_country: literal('UA'),
  card_recipient_birth_date: literal('1987-06-05'),
});
const createText = objectText({
  account: literal(RUB, EUR, EUR.toUpperCase()),
  amount: literal('500', '12.04', '12.01', 500, '0.01'),
  number: literal(CARD, '79005554455'),
  order_id: mostly(fc.uuid().map((id) => JSON.stringify(id))),
  service: literal('qiwi_rub', 'payment_card_rub'),
  notification_endpoint_id: literal(null, 5),
  notification_endpoint_url: literal(null, 'http://127.0.0.1:9/'),
  extra: mostly(extraText),
  customer_phone: literal(null, '79001112233'),
  customer_email: literal(null, 'ivan@example.com'),
  customer_code: literal(null, 'sberbank'),
  customer_first_name: literal(null, 'Иван'),
  customer_last_name: literal(null, "О'Нил/😀"),
});
const resolveText = objectText({
  outcome: literal('resubmit', 'paid', 'fail', 'acknowledge'),
  reason: literal('support says so'),
  attention: literal(
    null,
    ['not_found'],
    ['conflict_status', 'paid_in_part'],
    [],
    ['not_found', 'not_found'],
    'overdue',
  ),
  unasked: literal(null, true, false),
});
const brokenText = fc.oneof(
  anyText,
  createText.chain((text) => fc.nat(text.length).map((at) => text.slice(0, at))),
  fc.constant(`{"number":"${CARD}","filler":"${'x'.repeat(102_400)}"}`),
);

const withNumbers = (text: string): FuzzBody => ({
  text,
  numbers: Array.from(text.matchAll(/"number":"?(\d{11,})/g), ([, number = '']) => number),
});
export const createBody = fc.oneof({ weight: 6, arbitrary: createText }, brokenText).map(withNumbers);
export const resolveBody = fc.oneof({ weight: 6, arbitrary: resolveText }, brokenText).map(withNumbers);

/** Escaped so that it can stand in a URL; now and then so that it cannot be read. */
export const urlText = fc.oneof(
  wellFormedText.map((text) => encodeURIComponent(text)),
  fc.constantFrom('%', '%ff', '%c0%80', '%ud800', '%00', '+', '[]', 'a[b]=c'),
);

/** A query of these names and others, each with any value, in any number. */
export function queryOf(...names: string[]): fc.Arbitrary<string> {
  const name = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...names) }, urlText);
  const value = fc.oneof(urlText, fc.constantFrom('1', '20', '101', 'wait', 'paid', RUB, EUR, 'MTA'));
  return fc
    .array(
      fc.tuple(name, value).map(([key, text]) => `${key}=${text}`),
      { maxLength: 4 },
    )
    .map((pairs) => pairs.join('&'));
}

/** Headers that an endpoint reads, right or wrong. */
export const someHeaders = fc.record(
  {
    'content-type': fc.oneof(
      { weight: 8, arbitrary: fc.constant('application/json') },
      fc.constantFrom('application/json; charset=utf-16', 'text/plain', 'application/x-www-form-urlencoded', 'x', ''),
    ),
    'if-match': fc.oneof(
      fc.nat(12).map((revision) => `"${revision}"`),
      fc.constantFrom('*', 'W/"3"', '"3", "4"', '"-1"', '"99999999999"', '3', ''),
    ),
    prefer: fc.constantFrom('wait=1', 'wait=0', 'wait=-1', 'wait', 'respond-async', 'wait=9999999'),
    'content-encoding': fc.oneof({ weight: 8, arbitrary: fc.constant('identity') }, fc.constantFrom('gzip', 'br', 'x')),
    'x-http-method-override': fc.constantFrom('DELETE', 'GET'),
  },
  { requiredKeys: ['content-type'] },
);
