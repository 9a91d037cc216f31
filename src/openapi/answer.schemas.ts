import { PayoutDto, PayoutEventDto } from '../payouts/payout.dto.js';
import { ALARMS } from '../payouts/attention.js';
import { PAYOUT_STATUSES } from '../payouts/payout.status.js';
import type { AccountInfoAnswer, BalanceAnswer, ProviderMethod } from '../provider/provider.types.js';
import { describeFields } from './describe.js';

const STATUS = { type: 'string', enum: [...PAYOUT_STATUSES] } as const;
const TIME = { type: 'string', format: 'date-time', example: '2026-01-15T12:00:00.000Z' } as const;
const DECIMAL = { type: 'string', pattern: '^-?[0-9]+(?:\\.[0-9]+)?$', example: '500.00' } as const;
const DIGITS = { type: 'string', pattern: '^[0-9]{1,19}$' } as const;
const UUID = { type: 'string', format: 'uuid' } as const;

/** A page of payouts as REST shows it. */
export class PayoutPageDto {
  data!: PayoutDto[];
  next_cursor!: string | null;
}

/** The history of a payout as REST shows it. */
export class PayoutEventsDto {
  data!: PayoutEventDto[];
}

/** `BalanceAnswer` as REST shows it. */
export class PayoutBalanceDto implements BalanceAnswer {
  currency!: string;
  balance!: string;
  hold?: string;
  rolling_reserve?: string;
  pending_payouts?: string;
}

/** `ProviderMethod` as REST shows it. */
export class PayoutMethodDto implements ProviderMethod {
  method!: string;
  currency!: string;
  service_code!: string;
  status!: string;
}

/** `AccountInfoAnswer` as REST shows it. */
export class PayoutAccountDto implements AccountInfoAnswer {
  is_allowed_payment!: boolean;
  is_allowed_payout!: boolean;
  payments!: PayoutMethodDto[];
  payouts!: PayoutMethodDto[];
}

/** What a notification is answered with. */
export class NotificationAckDto {
  status!: 'ok';
}

/** What callers are answered with. */
export function describeAnswers(): void {
  describeFields(PayoutDto, 'A payout. Money is a decimal string, times are ISO 8601.', {
    id: UUID,
    order_id: { type: 'string', example: 'A-1' },
    account: { ...UUID, description: 'Uuid of the paying account.' },
    currency: { type: 'string', pattern: '^[A-Z]{3}$', description: 'ISO 4217.', example: 'RUB' },
    amount: { type: 'string', pattern: '^[0-9]{1,9}\\.[0-9]{2}$', example: '500.00' },
    service: { type: 'string', example: 'qiwi_rub' },
    number: { type: 'string', description: 'The masked number of the recipient.', example: '*******4455' },
    status: {
      ...STATUS,
      description:
        'Final, and never changed by itself: `paid`, `cancel`, `fail`, `rejected`, `withdrawn`. `unknown`: the provider ' +
        'may or may not have it; never sent again by itself.',
      example: 'wait',
    },
    provider_id: {
      ...DIGITS,
      nullable: true,
      description: "The provider's id: every digit of a 64-bit integer, so a string.",
      example: '100001524',
    },
    payment_amount: { ...DECIMAL, nullable: true, description: 'What the provider paid.' },
    commission_amount: { ...DECIMAL, nullable: true, example: '5.00' },
    is_partial_payment: { type: 'boolean', nullable: true },
    attention: {
      type: 'string',
      isArray: true,
      enum: [...ALARMS],
      description: 'Why a person should look; empty while nobody needs to.',
      example: ['not_found'],
    },
    revision: {
      type: 'integer',
      minimum: 0,
      description:
        'Raised by every change in the history. The ETag names it, and a decision sends that back as If-Match.',
    },
    created_at: TIME,
    updated_at: TIME,
    settled_at: { ...TIME, nullable: true, description: 'When it became final.' },
  });
  describeFields(PayoutEventDto, 'One line of the history of a payout.', {
    id: DIGITS,
    type: {
      type: 'string',
      description: 'What happened.',
      example: 'submission',
    },
    from_status: { ...STATUS, enum: [...PAYOUT_STATUSES, null], nullable: true },
    to_status: STATUS,
    attempt: { type: 'integer', minimum: 0 },
    revision: { type: 'integer', nullable: true, description: 'Revision of the payout after it; null in older rows.' },
    actor: { type: 'string', nullable: true, description: 'Who decided; null for the machine.', example: 'shop' },
    detail: { type: 'object', additionalProperties: true, description: 'The evidence; nothing of the recipient.' },
    created_at: TIME,
  });
  describeFields(PayoutPageDto, 'A page of payouts, newest first.', {
    data: { type: [PayoutDto] },
    next_cursor: { type: 'string', nullable: true, description: 'Leads to the next page; null on the last one.' },
  });
  describeFields(PayoutEventsDto, 'The history of a payout, oldest first.', { data: { type: [PayoutEventDto] } });
  describeFields(PayoutBalanceDto, 'The balance of an account at the provider.', {
    currency: { type: 'string', example: 'RUB' },
    balance: { ...DECIMAL, example: '93.84000000' },
    hold: { ...DECIMAL, required: false },
    rolling_reserve: { ...DECIMAL, required: false },
    pending_payouts: { ...DECIMAL, required: false },
  });
  describeFields(PayoutMethodDto, 'A method of payment or payout.', {
    method: { type: 'string', example: 'qiwi' },
    currency: { type: 'string', example: 'RUB' },
    service_code: { type: 'string', example: 'qiwi_rub' },
    status: { type: 'string', example: 'active' },
  });
  describeFields(PayoutAccountDto, 'What an account may do at the provider.', {
    is_allowed_payment: { type: 'boolean' },
    is_allowed_payout: { type: 'boolean' },
    payments: { type: [PayoutMethodDto] },
    payouts: { type: [PayoutMethodDto] },
  });
  describeFields(NotificationAckDto, 'The notification was taken.', { status: { type: 'string', enum: ['ok'] } });
}
