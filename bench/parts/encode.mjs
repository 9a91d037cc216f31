import { phpJsonEncode } from '../../dist/src/provider/php-json.js';
import { atLeast, interleaved, row } from '../measure.mjs';

const ORDER = { amount: '1000.44', number: '4111111111111111', order_id: '0d3fe5a0-5f3c-4f0c-9f6e-2f1d8d1d2a6b' };
const URL = 'https://payouts.example.com/alikassa/notifications';
/** Requests as they are sent: the shortest, one with everything in ASCII, one with Cyrillic names. */
const VALUES = {
  short: { ...ORDER, service: 'qiwi_rub', notification_endpoint_url: URL },
  'with extra': {
    ...ORDER,
    service: 'payment_card_eur',
    notification_endpoint_url: URL,
    extra: {
      card_exp_year: '29',
      card_exp_month: '01',
      card_holder: 'CARDHOLDER NAME',
      card_country: 'UA',
      card_recipient_birth_date: '1999-12-15',
    },
    customer_phone: '79001112233',
    customer_email: 'someone@example.com',
  },
  Cyrillic: {
    ...ORDER,
    service: 'payment_card_sbp_rub',
    notification_endpoint_url: URL,
    customer_code: 'sberbank',
    customer_first_name: 'Александра',
    customer_last_name: 'Вознесенская',
  },
};
const BATCH = 1_000;

/** `phpJsonEncode` a second, beside `JSON.stringify` of the same values. */
export async function measure({ quick, say }) {
  const ms = quick ? 200 : 700;
  const all = Object.values(VALUES);
  const rounds = { rounds: quick ? 2 : 5, say };
  for (const [name, value] of Object.entries(VALUES)) {
    const [ours, other] = [rate(phpJsonEncode, [value], ms / 4), rate(JSON.stringify, [value], ms / 4)];
    say(`${name}: ${(ours / other).toFixed(2)} of JSON.stringify`);
  }
  const sides = {
    ours: async () => rate(phpJsonEncode, all, ms),
    stringify: async () => rate(JSON.stringify, all, ms),
  };
  const { ours, stringify } = await interleaved(sides, rounds);
  return [row('encode', ours, stringify, 'values/s', atLeast(0.5))];
}

/** @returns how many values a second. */
function rate(encode, values, ms) {
  const startedAt = performance.now();
  let count = 0;
  let length = 0;
  while (performance.now() - startedAt < ms) {
    for (let n = 0; n < BATCH; n += 1) {
      for (const value of values) length += encode(value).length;
    }
    count += BATCH * values.length;
  }
  // Used, so that no engine leaves the work out.
  if (length === 0) throw new Error('nothing was encoded');
  return count / ((performance.now() - startedAt) / 1_000);
}
