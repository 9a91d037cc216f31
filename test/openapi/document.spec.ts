import { getMetadataStorage } from 'class-validator';
import type { OpenAPIObject } from '@nestjs/swagger';
import { NestFactory } from '@nestjs/core';
import { EndpointsModule } from '../../src/app/commands/openapi.js';
import { apiDocument } from '../../src/app/api.document.js';
import {
  CreatePayoutDto,
  ListPayoutsDto,
  PayoutExtraDto,
  ResolvePayoutDto,
  SearchPayoutsDto,
} from '../../src/payouts/payout.dto.js';
import { validated } from '../../src/payouts/payout.validation.js';
import { OpenApiChecker } from '../helpers/openapi.js';
import { payload } from '../helpers/payload.js';

interface Schema {
  properties?: Record<string, unknown>;
  required?: string[];
}

let document: OpenAPIObject;
let api: OpenApiChecker;

beforeAll(async () => {
  const app = await NestFactory.create(EndpointsModule, { logger: ['fatal', 'error', 'warn'] });
  document = apiDocument(app);
  api = new OpenApiChecker(document);
  await app.close();
});

const schemaOf = (name: string): Schema => document.components?.schemas?.[name] as Schema;

/** The fields that class-validator knows. */
function fieldsOf(type: new () => object): { all: string[]; required: string[] } {
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const all = [...new Set(rules.map(({ propertyName }) => propertyName))].toSorted();
  const optional = new Set(rules.filter(({ name }) => name === 'isOptional').map(({ propertyName }) => propertyName));
  return { all, required: all.filter((name) => !optional.has(name)) };
}

describe('the document', () => {
  it.each([CreatePayoutDto, PayoutExtraDto, ResolvePayoutDto, SearchPayoutsDto])(
    'has every field that %p takes, and requires the same ones',
    (type) => {
      const { all, required } = fieldsOf(type);
      expect(all).not.toEqual([]);
      expect(Object.keys(schemaOf(type.name).properties ?? {}).toSorted()).toEqual(all);
      expect((schemaOf(type.name).required ?? []).toSorted()).toEqual(required);
    },
  );

  it('has every filter of the list as a parameter', () => {
    const parameters = document.paths['/alikassa/payouts']?.get?.parameters as { name: string; in: string }[];
    expect(parameters.map((one) => `${one.in} ${one.name}`).toSorted()).toEqual(
      fieldsOf(ListPayoutsDto).all.map((name) => `query ${name}`),
    );
  });

  const isTaken = (type: new () => object, body: object): boolean => {
    try {
      return Boolean(validated(type, body));
    } catch {
      return false;
    }
  };
  const base = payload();
  const long = (length: number): string => 'é'.repeat(length);
  it.each<[field: string, accepted: unknown[], refused: unknown[]]>([
    ['account', [base['account']], ['nobody', 1, '']],
    [
      'amount',
      ['0.01', '999999999.99', 500, '1000.4', 999_999_999],
      ['0', '-1', '1000000000', '1.001', '01', '1e3', 0.5, 0, -1, 1_000_000_000, '', '0.00'],
    ],
    ['number', ['1', '~'.repeat(64)], ['', '4'.repeat(65), '7900 5554455', '7é', 79005554455]],
    ['order_id', [long(128), '😀'.repeat(128), 'a b'], [long(129), '', '   ', ' a', 'a ', 1]],
    ['service', [long(100)], [long(101), '', ' ', 1]],
    ['notification_endpoint_id', [1, Number.MAX_SAFE_INTEGER], [0, -1, 1.5, '1', Number.MAX_SAFE_INTEGER + 1]],
    [
      'notification_endpoint_url',
      ['https://shop.example/n?a=b', 'HTTP://shop.example/'],
      ['ftp://shop.example', '/n', `https://shop.example/${'x'.repeat(255)}`],
    ],
    [
      'extra',
      [
        {},
        {
          card_exp_year: '29',
          card_exp_month: '12',
          card_holder: long(100),
          card_country: 'UA',
          card_recipient_birth_date: '2000-02-29',
        },
      ],
      [
        'x',
        { card_exp_year: '2029' },
        { card_exp_year: 29 },
        { card_exp_month: '13' },
        { card_exp_month: '00' },
        { card_holder: long(101) },
        { card_country: 'ua' },
        { card_country: 'UKR' },
        { card_recipient_birth_date: '2001-02-29' },
        { cvv: '1' },
      ],
    ],
    ['customer_phone', ['79001', '+79001112233', '9'.repeat(20)], ['9'.repeat(21), '7900', '7-900-111', 79001112233]],
    ['customer_email', ['a@shop.example'], ['shop.example', 'a@', `${'a'.repeat(255)}@shop.example`]],
    ['customer_code', [long(100)], [long(101), '', 5]],
    ['customer_first_name', [long(100)], [long(101), ' ']],
    ['customer_last_name', [long(100)], [long(101), ' ']],
    ['something_else', [], ['x']],
  ])('draws the limits of %s where create draws them', (field, accepted, refused) => {
    const judged = (value: unknown) => {
      const body = { ...base, [field]: value };
      return {
        value,
        document: api.faultsOfSchema('CreatePayoutDto', body).length === 0,
        create: isTaken(CreatePayoutDto, body),
      };
    };
    expect(accepted.map(judged)).toEqual(accepted.map((value) => ({ value, document: true, create: true })));
    expect(refused.map(judged)).toEqual(refused.map((value) => ({ value, document: false, create: false })));
  });

  it.each<[body: Record<string, unknown>, isGood: boolean]>([
    [{ outcome: 'resubmit', reason: long(500) }, true],
    [{ outcome: 'paid', reason: long(501) }, false],
    [{ outcome: 'queued', reason: 'r' }, false],
    [{ outcome: 'fail' }, false],
    [{ outcome: 'fail', reason: ' ' }, false],
  ])('judges the decision %# as resolve does', (body, isGood) => {
    expect(isTaken(ResolvePayoutDto, body)).toBe(isGood);
    expect(api.faultsOfSchema('ResolvePayoutDto', body).length === 0).toBe(isGood);
  });

  it('names a bearer token as what lets in, for all but notifications, which carry their own signature', () => {
    expect(document.components?.securitySchemes).toMatchObject({ bearer: { type: 'http', scheme: 'bearer' } });
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { security } of Object.values(operations as Record<string, { security: unknown }>)) {
        expect({ path, security }).toEqual({ path, security: path.endsWith('/notifications') ? [] : [{ bearer: [] }] });
      }
    }
  });

  it('gives every example as its own schema takes it', () => {
    for (const operations of Object.values(document.paths)) {
      for (const { responses } of Object.values(operations as Record<string, { responses: Record<string, unknown> }>)) {
        for (const response of Object.values(responses) as { content: Record<string, { examples?: object }> }[]) {
          for (const { value } of Object.values(response.content['application/json']?.examples ?? {}) as {
            value: unknown;
          }[]) {
            expect(api.faultsOfSchema('PayoutErrorDto', value)).toEqual([]);
          }
        }
      }
    }
  });
});
