import type {
  AccountInfoAnswer,
  BalanceAnswer,
  CreatePayoutAnswer,
  PayoutStatusAnswer,
  ProviderMethod,
  ProviderStatus,
} from './provider.types.js';
import { PROVIDER_STATUSES } from './provider.types.js';

/** An HTTP answer as it came. */
export interface HttpAnswer {
  httpStatus: number;
  headers: Readonly<Record<string, unknown>>;
  body: Buffer;
}

/** What an answer says, before it is known how the request travelled. */
export type AnswerVerdict<T> =
  | { kind: 'ok'; value: T; reason: string }
  | { kind: 'refused'; message: string; errors: Record<string, string[]>; reason: string }
  | { kind: 'not_found'; reason: string }
  | { kind: 'unauthorized'; reason: string }
  | { kind: 'rate_limited'; retryAfterMs?: number; reason: string }
  | { kind: 'unclear'; reason: string };

/** Reads the value of a 200; a string is the reason why it cannot be read. */
export type ValueReader<T> = (body: Record<string, unknown>) => T | string;

const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_FIELDS = 20;
const MAX_TEXT = 200;
const DECIMAL = /^-?[0-9]{1,20}(?:\.[0-9]{1,20})?$/;
const MAX_ID = 9_223_372_036_854_775_807n;
/** A string literal as a whole, or a number as a whole, in text that is known to be JSON. */
const JSON_TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
const LONG_INTEGER = /^-?[0-9]{16,}$/;

/**
 * Classifies an answer. Only a readable 200 is `ok`; only the documented 400 is `refused`; whatever else comes proves
 * nothing (PROVIDER.md, "Create a payout": on anything but 200, do not cancel).
 */
export function classifyAnswer<T>(answer: HttpAnswer, read: ValueReader<T>): AnswerVerdict<T> {
  const { httpStatus, headers, body } = answer;
  const reason = `http_${httpStatus}`;
  switch (httpStatus) {
    case 200:
      return classify200(headers, body, read);
    case 400: {
      const refusal = refusalIn(body);
      return refusal ? { kind: 'refused', ...refusal, reason } : { kind: 'unclear', reason };
    }
    case 401:
    case 403:
      return { kind: 'unauthorized', reason };
    case 429:
      return { kind: 'rate_limited', retryAfterMs: retryAfter(headers['retry-after']), reason };
    default:
      return { kind: 'unclear', reason };
  }
}

/**
 * As `classifyAnswer`, for the status call: there 400 or 404 with the documented body whose errors name order_id or id says
 * "not found". Any other 404 may be a proxy's, whatever its body, and says nothing.
 */
export function classifyStatusAnswer(
  answer: HttpAnswer,
  read: ValueReader<PayoutStatusAnswer>,
): AnswerVerdict<PayoutStatusAnswer> {
  const verdict = classifyAnswer(answer, read);
  const refusal = answer.httpStatus === 400 || answer.httpStatus === 404 ? refusalIn(answer.body) : undefined;
  if (refusal && ('order_id' in refusal.errors || 'id' in refusal.errors)) {
    return { kind: 'not_found', reason: verdict.reason };
  }
  // A refused question says nothing about the payout.
  return verdict.kind === 'refused' ? { kind: 'unclear', reason: verdict.reason } : verdict;
}

function classify200<T>(headers: HttpAnswer['headers'], body: Buffer, read: ValueReader<T>): AnswerVerdict<T> {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return { kind: 'unclear', reason: 'encoded_answer' };
  const json = parseJson(body);
  if (json === undefined) return { kind: 'unclear', reason: 'not_json' };
  if (!isRecord(json)) return { kind: 'unclear', reason: 'not_an_object' };
  const value = read(json);
  return typeof value === 'string' ? { kind: 'unclear', reason: value } : { kind: 'ok', value, reason: 'http_200' };
}

/** `{"payment_status":"wait","id":100001524}`; an order_id, if echoed, must be ours. */
export function createAnswerReader(orderId: string): ValueReader<CreatePayoutAnswer> {
  return (body) => {
    const id = idOf(body['id']);
    const status = statusOf(body['payment_status']);
    if (id === undefined) return 'id_unreadable';
    if (status === undefined) return 'status_unreadable';
    if (body['order_id'] === undefined || body['order_id'] === null) return { payment_status: status, id };
    if (textOf(body['order_id']) !== orderId) return 'other_order';
    return { payment_status: status, id, order_id: orderId };
  };
}

/** Amounts come as strings in some answers and as numbers in others: both are read alike. */
export const readStatusAnswer: ValueReader<PayoutStatusAnswer> = (body) => {
  const id = idOf(body['id']);
  const status = statusOf(body['payment_status']);
  const orderId = textOf(body['order_id']);
  const isPartial = flagOf(body['is_partial_payment']);
  if (id === undefined) return 'id_unreadable';
  if (status === undefined) return 'status_unreadable';
  if (orderId === undefined) return 'order_id_unreadable';
  // Read as "no", it would turn a part into the whole.
  if (isPartial === undefined && isGiven(body['is_partial_payment'])) return 'partial_unreadable';
  const amounts = decimalsOf(body, [
    'amount',
    'payment_amount',
    'account_payment_amount',
    'commission_amount',
    'account_old_balance',
    'account_new_balance',
  ]);
  if (!amounts) return 'amount_unreadable';
  return {
    payment_status: status,
    id,
    order_id: orderId,
    ...amounts,
    is_partial_payment: isPartial,
    service_code: textOf(body['service_code']),
    card_mask: textOf(body['card_mask']),
    RRN: textOf(body['RRN']),
  };
};

export const readBalanceAnswer: ValueReader<BalanceAnswer> = (body) => {
  const amounts = decimalsOf(body, ['balance', 'hold', 'rolling_reserve', 'pending_payouts']);
  const currency = textOf(body['currency']);
  if (!currency || !amounts?.balance) return 'balance_unreadable';
  return { currency, ...amounts, balance: amounts.balance };
};

export const readAccountInfoAnswer: ValueReader<AccountInfoAnswer> = (body) => {
  const mayPay = flagOf(body['is_allowed_payment']);
  const mayPayOut = flagOf(body['is_allowed_payout']);
  if (mayPay === undefined || mayPayOut === undefined) return 'account_unreadable';
  return {
    is_allowed_payment: mayPay,
    is_allowed_payout: mayPayOut,
    payments: methodsOf(body['payments']),
    payouts: methodsOf(body['payouts']),
  };
};

/**
 * JSON whose long integers keep every digit: JSON.parse would round a 64-bit id, so integers of 16 and more digits
 * become strings first. Undefined if it is not JSON in UTF-8.
 */
export function parseJson(body: Buffer): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    // Parsed first as it is: over text that is not JSON the pattern below could run for very long.
    JSON.parse(text);
    return JSON.parse(text.replace(JSON_TOKEN, (token) => (LONG_INTEGER.test(token) ? `"${token}"` : token)));
  } catch {
    // What cannot be read is an outcome, not an exception; the caller names it.
    return undefined;
  }
}

function refusalIn(body: Buffer): { message: string; errors: Record<string, string[]> } | undefined {
  const json = parseJson(body);
  if (!isRecord(json) || typeof json['message'] !== 'string' || !isRecord(json['errors'])) return undefined;
  const fields = Object.entries(json['errors']);
  const isDocumented = fields.every(
    ([, texts]) => Array.isArray(texts) && texts.every((text) => typeof text === 'string'),
  );
  if (!isDocumented || fields.length === 0) return undefined;
  const errors = fields
    .slice(0, MAX_FIELDS)
    .map(([field, texts]): [string, string[]] => [shown(field), (texts as string[]).slice(0, MAX_FIELDS).map(shown)]);
  return { message: shown(json['message']), errors: Object.fromEntries(errors) };
}

/**
 * The provider's words may quote the card number: every longer run of digits is hidden, however it is grouped. What is
 * left can be stored: Postgres refuses JSON with a NUL, or with half a character, as cutting may leave one.
 */
function shown(text: string): string {
  return text
    .replace(/[0-9](?:[ -]?[0-9]){5,}/g, '******')
    .slice(0, MAX_TEXT)
    .replace(/[\p{Cc}\p{Cs}]/gu, '?');
}

/** Seconds or an HTTP date (RFC 9110, section 10.2.3), within an hour. */
function retryAfter(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^[0-9]+$/.test(value) ? Number(value) * 1000 : dateOf(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** Date.parse alone also takes "-5" for a date. */
function dateOf(text: string): number {
  return /^[A-Z][a-z]{2}, .* GMT$/.test(text) ? Date.parse(text) : NaN;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function idOf(value: unknown): string | undefined {
  const text = Number.isSafeInteger(value) ? String(value) : value;
  return typeof text === 'string' && /^[1-9][0-9]{0,18}$/.test(text) && BigInt(text) <= MAX_ID ? text : undefined;
}

function statusOf(value: unknown): ProviderStatus | undefined {
  return PROVIDER_STATUSES.find((status) => status === value);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : undefined;
}

/** A flag in any spelling that PHP and its frameworks write or take; undefined if it is none of them. */
export function flagOf(value: unknown): boolean | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined;
  const text = String(value).trim().toLowerCase();
  if (['1', '1.0', 'true', 't', 'yes', 'y', 'on'].includes(text)) return true;
  if (['0', '0.0', 'false', 'f', 'no', 'n', 'off'].includes(text)) return false;
  return undefined;
}

/** The named amounts as decimal strings, absent ones left out; undefined if one is there and cannot be read. */
function decimalsOf<K extends string>(
  body: Record<string, unknown>,
  names: readonly K[],
): Partial<Record<K, string>> | undefined {
  const amounts: Partial<Record<K, string>> = {};
  for (const name of names) {
    const value = body[name];
    if (!isGiven(value)) continue;
    const text = typeof value === 'number' ? String(value) : value;
    if (typeof text !== 'string' || !DECIMAL.test(text)) return undefined;
    amounts[name] = text;
  }
  return amounts;
}

function methodsOf(value: unknown): ProviderMethod[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).map((one) => ({
    method: textOf(one['method']) ?? '',
    currency: textOf(one['currency']) ?? '',
    service_code: textOf(one['service_code']) ?? '',
    status: textOf(one['status']) ?? '',
  }));
}
