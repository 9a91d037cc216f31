import { SignatureInvalidError } from '../../src/alikassa.errors.js';
import { parseNotificationQuery, signedForms } from '../../src/provider/notification.query.js';
import { phpJsonEncode } from '../../src/provider/php-json.js';

const GOOD = 'type=payout&id=1&order_id=A&payment_status=paid&account=u&sign=AAAA';
const reason = (query: string): string => {
  try {
    parseNotificationQuery(query);
    return 'accepted';
  } catch (error) {
    return error instanceof SignatureInvalidError ? error.reason : String(error);
  }
};

describe('parseNotificationQuery', () => {
  it('accepts the shortest query there can be, with null for what is absent', () => {
    const { fields, signature } = parseNotificationQuery(GOOD);
    expect(fields).toEqual({
      type: 'payout',
      id: '1',
      order_id: 'A',
      payment_status: 'paid',
      amount: null,
      payment_amount: null,
      commission_amount: null,
      is_partial_payment: null,
      account: 'u',
      service: null,
      desc: null,
    });
    expect(signature).toEqual(Buffer.from([0, 0, 0]));
  });

  it.each([
    'amount[]',
    'amount[x]',
    'amount%5B%5D',
    'order.id',
    'order+id',
    'order[id',
    '+amount',
    '%20amount',
    'amount%00x',
  ])('refuses %s, which PHP would fold onto a parameter that it knows', (name) => {
    expect(reason(`${GOOD}&${name}=1`)).toBe('malformed');
  });

  it('leaves out a parameter that is not signed', () => {
    const { fields } = parseNotificationQuery(`${GOOD}&utm=1&__proto__=2&toString=3`);
    expect(Object.keys(fields)).toHaveLength(11);
    expect(fields).not.toHaveProperty('utm');
  });

  it.each([
    ['characters that are not encoded', `${GOOD}&desc=é`],
    ['a lone surrogate', `${GOOD}&desc=\ud800`],
    ['an overlong encoding', `${GOOD}&desc=%c0%af`],
    ['an encoded surrogate', `${GOOD}&desc=%ed%a0%80`],
    ['a NUL, which cannot be stored', `${GOOD}&desc=a%00b`],
    ['half an escape', `${GOOD}&desc=%4`],
    ['a line break', `${GOOD}&desc=a\nb`],
  ])('refuses %s', (_, query) => {
    expect(reason(query)).toBe('malformed');
  });

  it.each(['type', 'id', 'order_id', 'payment_status', 'account', 'sign'])('refuses a query without %s', (name) => {
    expect(reason(GOOD.replace(new RegExp(`&?\\b${name}=[^&]*`), ''))).toBe('malformed');
  });

  it.each(['A', 'AAA', 'AAA=A', 'AAB=', 'AA A', 'AAA-', 'AAA%0A', '=AAA', 'AAAA===='])(
    'refuses the sign %s',
    (sign) => {
      expect(reason(GOOD.replace('AAAA', sign))).toBe('malformed');
    },
  );
});

describe('signedForms', () => {
  it('has the table order, and the reading without commission_amount only where that is absent', () => {
    const without = parseNotificationQuery(GOOD).fields;
    expect(signedForms(without).map(phpJsonEncode)).toEqual([
      '{"type":"payout","id":1,"order_id":"A","payment_status":"paid","amount":null,"payment_amount":null,"commission_amount":null,"is_partial_payment":null,"account":"u","service":null,"desc":null}',
      '{"type":"payout","id":1,"order_id":"A","payment_status":"paid","amount":null,"payment_amount":null,"is_partial_payment":null,"account":"u","service":null,"desc":null}',
    ]);
    expect(signedForms({ ...without, commission_amount: '' })).toHaveLength(1);
  });
});
