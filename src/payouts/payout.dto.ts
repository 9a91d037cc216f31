import { Transform, Type } from 'class-transformer';
import {
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsISO31661Alpha2,
  IsObject,
  IsOptional,
  IsUUID,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { ALARMS, type Alarm } from './attention.js';
import type { Payout, PayoutEvent } from './payout.entity.js';
import { PAYOUT_STATUSES, type PayoutStatus } from './payout.status.js';
import {
  AsSent,
  IsBirthDate,
  IsEmailAddress,
  IsHttpUrl,
  IsPayoutAmount,
  IsPlainText,
  IsRecipientNumber,
} from './payout.validators.js';

/** `extra` of a create: what an EUR account requires (PROVIDER.md, "Create a payout"). */
export class PayoutExtraDto {
  /** Two digits, e.g. "29". */
  @IsOptional()
  @AsSent
  @Matches(/^[0-9]{2}$/, { message: 'card_exp_year must be a string of two digits' })
  card_exp_year?: string;

  /** Two digits, "01" to "12". */
  @IsOptional()
  @AsSent
  @Matches(/^(?:0[1-9]|1[0-2])$/, { message: 'card_exp_month must be a string from "01" to "12"' })
  card_exp_month?: string;

  @IsOptional()
  @IsPlainText(100)
  card_holder?: string;

  /** ISO 3166-1 alpha-2, upper-case. */
  @IsOptional()
  @AsSent
  @Matches(/^[A-Z]{2}$/, { message: 'card_country must be two capital letters (ISO 3166-1 alpha-2)' })
  @IsISO31661Alpha2({ message: 'card_country must be a country of ISO 3166-1 alpha-2' })
  card_country?: string;

  /** YYYY-MM-DD. */
  @IsOptional()
  @IsBirthDate()
  card_recipient_birth_date?: string;
}

/** A payout to make: the provider's fields under the provider's names, and the account that pays. */
export class CreatePayoutDto {
  /** Uuid of the paying account; may be left out where only one is configured. */
  @IsOptional()
  @AsSent
  @IsUUID('all', { message: 'account must be a uuid' })
  account?: string;

  /** Decimal string in the account's currency, e.g. "1000.44"; a JSON number only if it is whole. */
  @IsPayoutAmount()
  amount!: string | number;

  /** Card, phone or account number of the recipient. */
  @IsRecipientNumber()
  number!: string;

  /** Your own id of the payout; unique for ever. */
  @IsPlainText(128)
  order_id!: string;

  /** The payout method, e.g. `payment_card_rub`. */
  @IsPlainText(100)
  service!: string;

  @IsOptional()
  @AsSent
  @IsInt({ message: 'notification_endpoint_id must be a whole number' })
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  notification_endpoint_id?: number;

  @IsOptional()
  @IsHttpUrl()
  notification_endpoint_url?: string;

  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => PayoutExtraDto)
  extra?: PayoutExtraDto;

  @IsOptional()
  @AsSent
  @Matches(/^\+?[0-9]{5,20}$/, { message: 'customer_phone must be 5 to 20 digits' })
  customer_phone?: string;

  @IsOptional()
  @IsEmailAddress()
  customer_email?: string;

  /** E.g. the bank's code, "sberbank". */
  @IsOptional()
  @IsPlainText(100)
  customer_code?: string;

  @IsOptional()
  @IsPlainText(100)
  customer_first_name?: string;

  @IsOptional()
  @IsPlainText(100)
  customer_last_name?: string;
}

/** A person's decision on a payout that the machine holds. */
export class ResolvePayoutDto {
  @AsSent
  @IsIn(['resubmit', 'paid', 'fail', 'acknowledge'], {
    message: 'outcome must be "resubmit", "paid", "fail" or "acknowledge"',
  })
  outcome!: 'resubmit' | 'paid' | 'fail' | 'acknowledge';

  /** Why; kept in the events. */
  @IsPlainText(500)
  reason!: string;

  /** With `acknowledge`: the alarms to close, each by its name. */
  @IsOptional()
  @IsArray({ message: 'attention must be a list of alarms' })
  @ArrayNotEmpty({ message: 'attention must name at least one alarm' })
  @ArrayUnique({ message: 'attention must name each alarm once' })
  @IsIn(ALARMS, { each: true, message: `attention must hold names of alarms: ${ALARMS.join(', ')}` })
  attention?: Alarm[];

  /** The provider cannot be asked, and has told what is decided by another way; it stands in the event. */
  @IsOptional()
  @IsIn([true], { message: 'unasked can only be true' })
  unasked?: true;
}

/** Filter and page of the list. */
export class ListPayoutsDto {
  @IsOptional()
  @IsPlainText(128)
  order_id?: string;

  @IsOptional()
  @AsSent
  @IsIn(PAYOUT_STATUSES, { message: `status must be one of ${PAYOUT_STATUSES.join(', ')}` })
  status?: PayoutStatus;

  /** 1 to 100, default 20. */
  @IsOptional()
  @AsSent
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^[0-9]{1,3}$/.test(value) ? Number(value) : value,
  )
  @IsInt({ message: 'limit must be a whole number from 1 to 100' })
  @Min(1)
  @Max(100)
  limit?: number;

  /** `next_cursor` of the page before. */
  @IsOptional()
  @AsSent
  @Matches(/^[A-Za-z0-9_-]{1,40}$/, { message: 'cursor must be the next_cursor of an earlier page' })
  cursor?: string;
}

/** Search by the recipient's full number, within what the list can be filtered by. */
export class SearchPayoutsDto extends ListPayoutsDto {
  /** As it was given to create, character for character. */
  @IsRecipientNumber()
  number!: string;
}

/** A payout as REST shows it. Money is a decimal string, times are ISO 8601. */
export class PayoutDto {
  id!: string;
  order_id!: string;
  account!: string;
  currency!: string;
  amount!: string;
  service!: string;
  /** Masked. */
  number!: string;
  status!: PayoutStatus;
  /** The provider's id: every digit of a 64-bit integer, so a string. */
  provider_id!: string | null;
  payment_amount!: string | null;
  commission_amount!: string | null;
  is_partial_payment!: boolean | null;
  /** Why a person should look; empty while nobody needs to. */
  attention!: Alarm[];
  /** Raised by every change that stands in the history: what a decision is made on. The ETag names it too. */
  revision!: number;
  created_at!: string;
  updated_at!: string;
  settled_at!: string | null;

  static from(payout: Payout): PayoutDto {
    return {
      id: payout.id,
      order_id: payout.orderId,
      account: payout.account,
      currency: payout.currency,
      amount: payout.amount,
      service: payout.service,
      number: payout.numberMasked,
      status: payout.status,
      provider_id: payout.providerId,
      payment_amount: payout.paymentAmount,
      commission_amount: payout.commissionAmount,
      is_partial_payment: payout.isPartialPayment,
      attention: payout.attention,
      revision: payout.revision,
      created_at: payout.createdAt.toISOString(),
      updated_at: payout.updatedAt.toISOString(),
      settled_at: payout.settledAt?.toISOString() ?? null,
    };
  }
}

/** One line of a payout's history as REST shows it. */
export class PayoutEventDto {
  id!: string;
  type!: string;
  from_status!: PayoutStatus | null;
  to_status!: PayoutStatus;
  attempt!: number;
  /** The payout's revision after it; null for events of older versions. */
  revision!: number | null;
  /** Who decided; null for the machine. */
  actor!: string | null;
  detail!: Record<string, unknown>;
  created_at!: string;

  static from(event: PayoutEvent): PayoutEventDto {
    return {
      id: event.id,
      type: event.type,
      from_status: event.fromStatus,
      to_status: event.toStatus,
      attempt: event.attempt,
      revision: event.revision,
      actor: event.actor,
      detail: event.detail,
      created_at: event.createdAt.toISOString(),
    };
  }
}
