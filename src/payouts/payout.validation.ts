import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { InvalidInputError } from '../alikassa.errors.js';
import type { AliKassaAccount } from '../alikassa.options.js';
import { looksLikeCard, passesLuhn } from './card.number.js';
import { CreatePayoutDto, type PayoutExtraDto } from './payout.dto.js';

const EUR_FIELDS = [
  'card_exp_year',
  'card_exp_month',
  'card_holder',
  'card_country',
  'card_recipient_birth_date',
] as const satisfies readonly (keyof PayoutExtraDto)[];

/**
 * Turns a plain object into a checked DTO; the same check serves REST and the host that calls the service.
 * @throws InvalidInputError one sentence per field, never the field's value.
 */
export function validated<T extends object>(type: ClassConstructor<T>, plain: unknown): T {
  if (typeof plain !== 'object' || plain === null || Array.isArray(plain)) {
    throw new InvalidInputError(['body must be an object']);
  }
  refuseProto(plain);
  const dto = plainToInstance(type, plain);
  const errors = validateSync(dto, { whitelist: true, forbidNonWhitelisted: true, validationError: { target: false } });
  if (errors.length > 0) throw new InvalidInputError(errors.flatMap((error) => sentences(error)));
  return dto;
}

/**
 * The rules that need the account: it must be configured, and an EUR account needs all of `extra`.
 * @throws InvalidInputError
 */
export function validatedCreate(
  plain: unknown,
  accounts: readonly AliKassaAccount[],
): { dto: CreatePayoutDto; account: AliKassaAccount } {
  const dto = validated(CreatePayoutDto, plain);
  const account = accountOf(dto.account, accounts);
  const problems = [...cardProblems(dto), ...extraProblems(dto.extra, account.currency)];
  if (problems.length > 0) throw new InvalidInputError(problems);
  return { dto, account };
}

/** @throws InvalidInputError if the account is unknown, or left out where several are configured. */
export function accountOf(uuid: string | undefined, accounts: readonly AliKassaAccount[]): AliKassaAccount {
  if (uuid === undefined) {
    const [only, ...others] = accounts;
    if (!only || others.length > 0) throw new InvalidInputError(['account is required: several are configured']);
    return only;
  }
  const account = accounts.find((one) => one.uuid === uuid.toLowerCase());
  if (!account) throw new InvalidInputError(['account is not one of the configured accounts']);
  return account;
}

/** class-transformer drops these keys in silence; a sender who uses them should hear of it. */
function refuseProto(value: object): void {
  for (const [key, inner] of Object.entries(value)) {
    if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
      throw new InvalidInputError([`property ${key} should not exist`]);
    }
    if (typeof inner === 'object' && inner !== null) refuseProto(inner);
  }
}

function sentences(error: ValidationError, path = ''): string[] {
  const own = Object.values(error.constraints ?? {}).map((text) => (path ? `${path}.${text}` : text));
  const inner = (error.children ?? []).flatMap((child) => sentences(child, path + error.property));
  return [...own, ...inner];
}

function cardProblems(dto: CreatePayoutDto): string[] {
  const isCard = dto.service.includes('card') && looksLikeCard(dto.number);
  return isCard && !passesLuhn(dto.number) ? ['number is not a valid card number (its check digit is wrong)'] : [];
}

function extraProblems(extra: PayoutExtraDto | undefined, currency: string): string[] {
  const problems: string[] = [];
  if (currency === 'EUR') {
    for (const field of EUR_FIELDS) {
      if (extra?.[field] == null) problems.push(`extra.${field} is required for an EUR account`);
    }
  }
  if (extra?.card_exp_year && extra.card_exp_month && hasExpired(extra.card_exp_year, extra.card_exp_month)) {
    problems.push('extra.card_exp_year and extra.card_exp_month name a card that has expired');
  }
  return problems;
}

/** A card is good to the end of its month, in the last time zone on earth to reach it (UTC-12). */
function hasExpired(year: string, month: string): boolean {
  const endOfMonth = Date.UTC(2000 + Number(year), Number(month), 1, 12);
  return Date.now() >= endOfMonth;
}
