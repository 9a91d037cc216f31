import { verify, type KeyObject } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { phpJsonEncode } from '../provider/php-json.js';
import type { SimulatedAccount } from './simulator.ledger.js';

export type FieldErrors = Record<string, string[]>;

export interface RequestCheck {
  publicKey: KeyObject;
  digest: 'sha1' | 'sha256';
  accounts: readonly SimulatedAccount[];
}

export type CheckedRequest =
  | { account: SimulatedAccount; fields: Record<string, unknown> }
  | { httpStatus: number; message: string; isForged: boolean };

/**
 * Checks headers and signature as strictly as the provider may: over the raw body, and over a copy that was decoded and
 * encoded again (PROVIDER.md, "Request signature").
 */
export function checkRequest(headers: IncomingHttpHeaders, body: Buffer, check: RequestCheck): CheckedRequest {
  const refuse = (httpStatus: number, message: string, isForged = false) => ({ httpStatus, message, isForged });
  if (headers['content-type'] !== 'application/json') return refuse(415, 'Content-Type must be application/json.');
  if (headers['user-agent'] !== 'AliKassa2.0 API') return refuse(403, 'User-Agent is not accepted.');
  const account = check.accounts.find(({ uuid }) => uuid.toLowerCase() === String(headers['account']).toLowerCase());
  if (!account) return refuse(403, 'Account is unknown.');
  let fields: unknown;
  try {
    fields = JSON.parse(body.toString('utf8'));
  } catch {
    return refuse(400, 'The body is not JSON.');
  }
  const signature = Buffer.from(String(headers['sign']), 'base64');
  const copies = [body, Buffer.from(phpJsonEncode(fields))];
  const isSigned = copies.every((copy) => verify(check.digest, copy, check.publicKey, signature));
  if (!isSigned) return refuse(403, 'Sign is not valid.', true);
  if (typeof fields !== 'object' || fields === null) return refuse(400, 'The body is not an object.');
  return { account, fields: fields as Record<string, unknown> };
}

const TEXT_LIMITS = {
  order_id: 128,
  service: 100,
  notification_endpoint_url: 255,
  number: 255,
  customer_phone: 255,
  customer_email: 255,
  customer_code: 255,
  customer_first_name: 255,
  customer_last_name: 255,
} as const;
const REQUIRED = ['amount', 'number', 'order_id', 'service'] as const;
const EXTRA_PATTERNS = {
  card_exp_year: /^\d{2}$/,
  card_exp_month: /^\d{2}$/,
  card_holder: /^.{1,100}$/u,
  card_country: /^[A-Z]{2}$/,
  card_recipient_birth_date: /^\d{4}-\d{2}-\d{2}$/,
} as const;

/** The documented fields and limits of a create (PROVIDER.md, "Create a payout"). */
export function createErrors(fields: Record<string, unknown>, currency: string): FieldErrors {
  const errors: FieldErrors = {};
  for (const name of REQUIRED) {
    if (fields[name] === undefined || fields[name] === '') errors[name] = [`The ${name} field is required.`];
  }
  for (const [name, limit] of Object.entries(TEXT_LIMITS)) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value !== 'string') errors[name] ??= [`The ${name} must be a string.`];
    else if (Array.from(value).length > limit)
      errors[name] ??= [`The ${name} may not be greater than ${limit} characters.`];
  }
  const { amount } = fields;
  const amountText = typeof amount === 'number' ? String(amount) : amount;
  if (amount !== undefined && !(typeof amountText === 'string' && /^\d{1,9}(?:\.\d{1,2})?$/.test(amountText))) {
    errors['amount'] ??= ['The amount format is invalid.'];
  }
  const endpoint = fields['notification_endpoint_id'];
  if (endpoint !== undefined && !Number.isInteger(endpoint)) {
    errors['notification_endpoint_id'] = ['The notification_endpoint_id must be an integer.'];
  }
  return { ...errors, ...extraErrors(fields['extra'], currency) };
}

function extraErrors(extra: unknown, currency: string): FieldErrors {
  const given = (typeof extra === 'object' && extra !== null ? extra : {}) as Record<string, unknown>;
  const errors: FieldErrors = {};
  for (const [name, pattern] of Object.entries(EXTRA_PATTERNS)) {
    const value = given[name];
    if (value === undefined && currency !== 'EUR') continue;
    if (typeof value !== 'string' || !pattern.test(value)) {
      errors[`extra.${name}`] = [`The extra.${name} field is required or has the wrong format.`];
    }
  }
  return errors;
}
