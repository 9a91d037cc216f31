import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { InvalidInputError } from '../alikassa.errors.js';
import type { AliKassaAccount } from '../alikassa.options.js';
import { looksLikeCard, passesLuhn } from './card.number.js';
import { CreatePayoutDto, type PayoutExtraDto } from './payout.dto.js';
import { shownName } from './request.input.js';

/** Deeper than any field goes. */
const MAX_DEPTH = 4;
/** Enough for every field of a payout at once. */
const MAX_PROBLEMS = 20;
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
  for (const [key, value] of Object.entries(plain)) refuseForeign(key, value, shownName(key));
  const dto = plainToInstance(type, plain);
  const errors = validateSync(dto, { whitelist: true, forbidNonWhitelisted: true, validationError: { target: false } });
  if (errors.length > 0)
    throw new InvalidInputError(errors.flatMap((error) => sentences(error)).slice(0, MAX_PROBLEMS));
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
export function accountOf(uuid: string | null | undefined, accounts: readonly AliKassaAccount[]): AliKassaAccount {
  if (uuid == null) {
    const [only, ...others] = accounts;
    if (!only || others.length > 0) throw new InvalidInputError(['account is required: several are configured']);
    return only;
  }
  const account = accounts.find((one) => one.uuid === uuid.toLowerCase());
  if (!account) throw new InvalidInputError(['account is not one of the configured accounts']);
  return account;
}

/**
 * class-transformer drops `__proto__` and its like in silence; a sender who uses them should hear of it. It also calls
 * itself for every level, as this does, so that depth must end somewhere.
 */
function refuseForeign(key: string, value: unknown, field: string, depth = 1): void {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
    throw new InvalidInputError([`property ${key} should not exist`]);
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) throw new InvalidInputError([`${field} is nested too deeply`]);
  for (const [inner, held] of Object.entries(value)) refuseForeign(inner, held, field, depth + 1);
}

function sentences(error: ValidationError, path = ''): string[] {
  const own = Object.entries(error.constraints ?? {}).map(([rule, text]) =>
    rule === 'whitelistValidation' ? `property ${path}${shownName(error.property)} should not exist` : path + text,
  );
  const inner = (error.children ?? []).flatMap((child) => sentences(child, `${path}${error.property}.`));
  return [...own, ...inner];
}

function cardProblems(dto: CreatePayoutDto): string[] {
  const digits = dto.number.replaceAll('-', '');
  const isCard = dto.service.includes('card') && looksLikeCard(digits);
  return isCard && !passesLuhn(digits) ? ['number is not a valid card number (its check digit is wrong)'] : [];
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
