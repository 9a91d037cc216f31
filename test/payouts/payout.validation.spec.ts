import { InvalidInputError } from '../../src/alikassa.errors.js';
import { contentOf, providerRequest } from '../../src/payouts/payout.request.js';
import { validatedCreate } from '../../src/payouts/payout.validation.js';
import { maskNumber } from '../../src/payouts/card.number.js';

const RUB = { uuid: '93d5df06-996c-48c3-9847-348d6b580b80', currency: 'RUB' };
const EUR = { uuid: '93d5df06-996c-48c3-9847-348d6b580b81', currency: 'EUR' };
const NUMBER = '4111111111111111';
const EXTRA = {
  card_exp_year: '79',
  card_exp_month: '01',
  card_holder: 'CARDHOLDER NAME',
  card_country: 'UA',
  card_recipient_birth_date: '1999-12-15',
};
const GOOD = { amount: '1000.44', number: NUMBER, order_id: 'A-1', service: 'payment_card_rub' };

const check = (changes: object = {}, accounts = [RUB]) => validatedCreate({ ...GOOD, ...changes }, accounts).dto;

function problemsOf(changes: object, accounts = [RUB]): string {
  try {
    check(changes, accounts);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.problems.join('\n');
    throw error;
  }
  return '';
}

describe('amount', () => {
  it.each(['0.01', '1', '500', '1000.4', '1000.44', '999999999.99', 500, 1])('%p is accepted', (amount) => {
    expect(problemsOf({ amount })).toBe('');
  });

  it.each([
    '0',
    '0.00',
    0,
    '-1',
    -1,
    'NaN',
    NaN,
    '1e3',
    1e21,
    '1.234',
    '1000000000',
    '١٢',
    '1,5',
    '',
    ' 1',
    '01',
    '.5',
    '1.',
    1000.44,
    2 ** 53,
    null,
    undefined,
    [],
    ['1'],
    {},
    true,
    'Infinity',
    '0x10',
  ])('%p is refused', (amount) => {
    expect(problemsOf({ amount })).toMatch(/^amount must be/m);
  });

  it('goes out as it was given', () => {
    expect(providerRequest(check({ amount: 500 }), undefined).amount).toBe('500');
    expect(providerRequest(check({ amount: '1000.40' }), undefined).amount).toBe('1000.40');
  });
});

describe('text', () => {
  it.each([
    ['order_id', 'я'.repeat(128)],
    ['service', 's'.repeat(100)],
    ['customer_first_name', 'Пётр'],
    ['notification_endpoint_url', `https://a.example/${'x'.repeat(237)}`],
  ])('%s may use its whole limit', (field, value) => {
    expect(problemsOf({ [field]: value })).toBe('');
  });

  it.each([
    ['order_id', 'я'.repeat(129)],
    ['order_id', ''],
    ['order_id', ' \u00a0'],
    ['order_id', ' A-1'],
    ['order_id', 'A-1 '],
    ['order_id', 'a\u0000b'],
    ['order_id', 'a\nb'],
    ['order_id', '\ud800'],
    ['order_id', 5],
    ['order_id', ['a']],
    ['service', 's'.repeat(101)],
    ['notification_endpoint_url', `https://a.example/${'x'.repeat(238)}`],
    ['notification_endpoint_url', 'ftp://a.example/'],
    ['notification_endpoint_url', 'javascript:alert(1)'],
    ['notification_endpoint_id', '5'],
    ['notification_endpoint_id', 1.5],
    ['customer_email', 'nobody'],
    ['customer_last_name', 'x'.repeat(101)],
    ['number', '4111 1111 1111 1111'],
    ['number', '４１１１'],
    ['unknown_field', 1],
    ['extra', []],
    ['extra', 'x'],
    ['account', 'x'],
  ])('%s = %p is refused by name', (field, value) => {
    expect(problemsOf({ [field]: value })).toContain(field);
  });

  it('refuses __proto__, also inside extra', () => {
    const own = JSON.parse(`{"__proto__":{"amount":"1"}}`) as object;
    expect(() => validatedCreate(own, [RUB])).toThrow('__proto__');
    expect(problemsOf({ extra: own })).toContain('__proto__');
  });
});

describe('card numbers', () => {
  it('a wrong check digit is refused on a card service, without echoing the number', () => {
    const problems = problemsOf({ number: '4111111111111112' });
    expect(problems).toMatch(/^number /);
    expect(problems).not.toContain('411111');
  });

  it('a phone on a card service is not taken for a card', () => {
    expect(problemsOf({ number: '79005554455', service: 'payment_card_sbp_rub' })).toBe('');
  });

  it.each([
    [NUMBER, '411111******1111'],
    ['79005554455', '*******4455'],
    ['1234', '**34'],
    ['1', '*'],
  ])('%s is shown as %s', (number, shown) => {
    expect(maskNumber(number)).toBe(shown);
  });
});

describe('an EUR account', () => {
  it('accepts all five fields of extra', () => {
    expect(problemsOf({ extra: EXTRA }, [EUR])).toBe('');
  });

  it.each(Object.keys(EXTRA))('requires extra.%s', (field) => {
    expect(problemsOf({ extra: { ...EXTRA, [field]: undefined } }, [EUR])).toContain(`extra.${field}`);
  });

  it('requires extra itself', () => {
    expect(problemsOf({}, [EUR])).toContain('extra.card_holder');
  });

  it.each([
    ['card_exp_month', '13'],
    ['card_exp_year', '2030'],
    ['card_country', 'ZZ'],
    ['card_country', 'ua'],
    ['card_recipient_birth_date', '1999-02-29'],
    ['card_recipient_birth_date', '2999-01-01'],
    ['card_holder', 'x'.repeat(101)],
  ])('refuses extra.%s = %p by name', (field, value) => {
    expect(problemsOf({ extra: { ...EXTRA, [field]: value } }, [EUR])).toContain(field);
  });

  it('refuses an expired card', () => {
    expect(problemsOf({ extra: { ...EXTRA, card_exp_year: '24' } }, [EUR])).toContain('expired');
  });
});

describe('the account', () => {
  it('may be left out only where there is one', () => {
    expect(problemsOf({}, [RUB, EUR])).toContain('account is required');
    expect(validatedCreate(GOOD, [RUB]).account).toEqual(RUB);
  });

  it('given as null is left out, as any other field', () => {
    expect(problemsOf({ account: null }, [RUB, EUR])).toContain('account is required');
    expect(validatedCreate({ ...GOOD, account: null }, [RUB]).account).toEqual(RUB);
  });

  it('must be configured', () => {
    expect(problemsOf({ account: EUR.uuid })).toContain('account');
  });
});

describe('the content of a repeat', () => {
  it('is the same for another order of fields and another spelling of the amount', () => {
    const { amount: _, ...rest } = GOOD;
    const one = contentOf(validatedCreate({ ...rest, amount: '500' }, [RUB]).dto, RUB.uuid);
    const two = contentOf(validatedCreate({ amount: 500.0, ...rest }, [RUB]).dto, RUB.uuid);
    const three = contentOf(validatedCreate({ amount: '500.00', ...rest }, [RUB]).dto, RUB.uuid);
    expect(new Set([one, two, three]).size).toBe(1);
  });

  it('differs by any field', () => {
    const base = contentOf(check(), RUB.uuid);
    const others = [{ amount: '1000.45' }, { number: '4242424242424242' }, { customer_code: 'x' }, { service: 's' }];
    for (const changes of others) expect(contentOf(check(changes), RUB.uuid)).not.toBe(base);
    expect(contentOf(check(), EUR.uuid)).not.toBe(base);
  });
});

describe('what is sent', () => {
  it("keeps the provider's order of fields and leaves out what is absent", () => {
    const request = providerRequest(
      check({ customer_code: 'c', extra: null, notification_endpoint_id: 5 }),
      'https://n/',
    );
    expect(Object.keys(request)).toEqual([
      'amount',
      'number',
      'order_id',
      'service',
      'notification_endpoint_id',
      'customer_code',
    ]);
  });

  it('names the default notification URL only where the payout names no endpoint', () => {
    expect(providerRequest(check(), 'https://n/').notification_endpoint_url).toBe('https://n/');
    const named = providerRequest(check({ notification_endpoint_url: 'https://o/' }), 'https://n/');
    expect(named.notification_endpoint_url).toBe('https://o/');
  });
});
