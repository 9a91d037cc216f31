import type { ApiPropertyOptions } from '@nestjs/swagger';
import {
  CreatePayoutDto,
  ListPayoutsDto,
  PayoutExtraDto,
  ResolvePayoutDto,
  SearchPayoutsDto,
} from '../payouts/payout.dto.js';
import { ALARMS } from '../payouts/attention.js';
import { PAYOUT_STATUSES } from '../payouts/payout.status.js';
import { describeFields } from './describe.js';

/** No spaces around it. */
const PLAIN = '^\\S(?:.*\\S)?$';
const plainText = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength, pattern: PLAIN }) as const;
const NUMBER = {
  type: 'string',
  minLength: 1,
  maxLength: 64,
  pattern: '^[\\x21-\\x7e]+$',
  example: '79005554455',
} as const;
const AMOUNT = '^(?=.*[1-9])(?:0|[1-9][0-9]{0,8})(?:\\.[0-9]{1,2})?$';
const ENDPOINT = 'At most one of notification_endpoint_id and notification_endpoint_url is needed.';

/** Filter and page, in a query or a body. */
export const FILTER = {
  order_id: { ...plainText(128), required: false },
  status: { type: 'string', enum: [...PAYOUT_STATUSES], required: false },
  limit: { type: 'integer', minimum: 1, maximum: 100, default: 20, required: false },
  cursor: {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{1,40}$',
    required: false,
    description: '`next_cursor` of the page before.',
  },
} satisfies Record<keyof ListPayoutsDto, ApiPropertyOptions>;

/** What callers send. */
export function describeRequests(): void {
  describeFields(PayoutExtraDto, 'Further parameters; an EUR account requires all of them.', {
    card_exp_year: { type: 'string', pattern: '^[0-9]{2}$', required: false, example: '29' },
    card_exp_month: { type: 'string', pattern: '^(?:0[1-9]|1[0-2])$', required: false, example: '01' },
    card_holder: { ...plainText(100), required: false, example: 'CARDHOLDER NAME' },
    card_country: {
      type: 'string',
      pattern: '^[A-Z]{2}$',
      required: false,
      description: 'ISO 3166-1 alpha-2.',
      example: 'UA',
    },
    card_recipient_birth_date: {
      type: 'string',
      format: 'date',
      required: false,
      description: 'A day from 1900 on that is not in the future.',
      example: '1999-12-15',
    },
  });
  describeFields(CreatePayoutDto, 'A payout to make.', {
    account: {
      type: 'string',
      format: 'uuid',
      required: false,
      description: 'Uuid of the paying account; may be left out where only one is configured.',
    },
    amount: {
      oneOf: [
        { type: 'string', pattern: AMOUNT },
        { type: 'integer', minimum: 1, maximum: 999_999_999 },
      ],
      description:
        "In the account's currency: a decimal string above 0 with at most two decimals; a JSON number only if it is whole.",
      example: '1000.44',
    },
    number: {
      ...NUMBER,
      description:
        'Card, phone or account number of the recipient, without spaces. A card number needs its check digit.',
    },
    order_id: {
      ...plainText(128),
      description:
        'Your own id of the payout; unique for ever. The same content again is answered with the same payout.',
      example: 'A-1',
    },
    service: { ...plainText(100), description: 'The payout method.', example: 'qiwi_rub' },
    notification_endpoint_id: {
      type: 'integer',
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      required: false,
      description: `Id of a notification endpoint of the merchant's cabinet. ${ENDPOINT}`,
    },
    notification_endpoint_url: {
      type: 'string',
      format: 'uri',
      pattern: '^[Hh][Tt][Tt][Pp][Ss]?:',
      maxLength: 255,
      required: false,
      description: `Where the provider reports the end to, instead of the configured address. ${ENDPOINT}`,
    },
    extra: { type: () => PayoutExtraDto, required: false, description: 'Required for an EUR account.' },
    customer_phone: { type: 'string', pattern: '^\\+?[0-9]{5,20}$', required: false, example: '79001112233' },
    customer_email: { type: 'string', format: 'email', maxLength: 254, required: false },
    customer_code: {
      ...plainText(100),
      required: false,
      description: "E.g. the bank's code.",
      example: 'sberbank',
    },
    customer_first_name: { ...plainText(100), required: false },
    customer_last_name: { ...plainText(100), required: false },
  });
  describeFields(ResolvePayoutDto, "A person's decision on a payout that is held.", {
    outcome: {
      type: 'string',
      enum: ['resubmit', 'paid', 'fail', 'acknowledge'],
      description:
        '`resubmit` sends the same body again under the same order_id; `paid` and `fail` end the payout; `acknowledge` ' +
        'closes alarms and decides nothing else. Before `resubmit` and `fail` the provider is asked once more.',
    },
    reason: { ...plainText(500), description: 'Why; kept in the events.', example: 'support: never arrived' },
    attention: {
      type: 'string',
      isArray: true,
      enum: [...ALARMS],
      minItems: 1,
      uniqueItems: true,
      required: false,
      description: 'With `acknowledge` alone: the alarms to close.',
    },
    unasked: {
      type: 'boolean',
      enum: [true],
      required: false,
      description: 'Decide although the provider cannot be asked; kept in the events.',
    },
  });
  describeFields(ListPayoutsDto, 'Filter and page.', FILTER);
  describeFields<SearchPayoutsDto, ListPayoutsDto>(SearchPayoutsDto, 'Search by the full number of a recipient.', {
    number: { ...NUMBER, description: 'As it was given to create, character for character.' },
  });
}
