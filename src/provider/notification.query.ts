import { SignatureInvalidError } from '../alikassa.errors.js';
import type { NotificationFields } from './provider.types.js';

/** In the order of PROVIDER.md's table ("Notifications"): the order in which they are signed. */
const SIGNED_PARAMETERS = [
  'type',
  'id',
  'order_id',
  'payment_status',
  'amount',
  'payment_amount',
  'commission_amount',
  'is_partial_payment',
  'account',
  'service',
  'desc',
] as const;
const REQUIRED = ['type', 'id', 'order_id', 'payment_status', 'account'] as const;
const KNOWN: ReadonlySet<string> = new Set([...SIGNED_PARAMETERS, 'sign']);

const MAX_QUERY = 8192;
const MAX_ID = 9_223_372_036_854_775_807n;
const STRICT_BASE64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$/;

export interface SignedQuery {
  fields: NotificationFields;
  signature: Buffer;
}

/**
 * Reads the raw query of a notification, and only what could be one of the provider's: every parameter once, well-formed,
 * a PHP integer as id, a strict base64 signature. Parameters that are not signed are left out.
 * @throws SignatureInvalidError (`malformed`)
 */
export function parseNotificationQuery(rawQuery: string): SignedQuery {
  const parameters = parametersOf(rawQuery.startsWith('?') ? rawQuery.slice(1) : rawQuery);
  for (const name of REQUIRED) {
    if (!parameters.has(name)) throw malformed(`${name} is missing`);
  }
  const id = parameters.get('id') ?? '';
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(id) || BigInt(id) > MAX_ID) throw malformed('id is not an integer');
  const value = (name: (typeof SIGNED_PARAMETERS)[number]): string | null => parameters.get(name) ?? null;
  return {
    signature: signatureOf(parameters.get('sign')),
    fields: {
      type: value('type') ?? '',
      id,
      order_id: value('order_id') ?? '',
      payment_status: value('payment_status') ?? '',
      amount: value('amount'),
      payment_amount: value('payment_amount'),
      commission_amount: value('commission_amount'),
      is_partial_payment: value('is_partial_payment'),
      account: value('account') ?? '',
      service: value('service'),
      desc: value('desc'),
    },
  };
}

/**
 * What the provider may have signed: all parameters with null for the absent ones; and, by the older document, without
 * `commission_amount`. The id is an integer there, so it is a bigint here.
 */
export function signedForms(fields: NotificationFields): Record<string, unknown>[] {
  const current = { ...fields, id: BigInt(fields.id) };
  if (fields.commission_amount !== null) return [current];
  const { commission_amount: _, ...older } = current;
  return [current, older];
}

function parametersOf(query: string): Map<string, string> {
  if (query.length > MAX_QUERY) throw malformed(`the query is longer than ${MAX_QUERY} bytes`);
  // Whoever encodes a query leaves only visible ASCII; how other bytes were meant would be a guess.
  if (!/^[!-~]*$/.test(query)) throw malformed('the query holds characters that are not percent-encoded');
  const parameters = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decoded(at < 0 ? pair : pair.slice(0, at));
    for (const folded of foldedByPhp(name)) {
      if (folded !== name && KNOWN.has(folded)) throw malformed(`${folded} is given in a disguise`);
    }
    if (!KNOWN.has(name)) continue;
    if (parameters.has(name)) throw malformed(`${name} is given twice`);
    const value = decoded(at < 0 ? '' : pair.slice(at + 1));
    // Postgres keeps no NUL: it would be answered as a fault of the database, and repeated for ever.
    if (value.includes('\0')) throw malformed(`${name} holds a NUL`);
    parameters.set(name, value);
  }
  return parameters;
}

/**
 * The names under which PHP would register a parameter: leading spaces fall away, a NUL ends it, ` `, `.` and an unclosed
 * `[` become `_`, and `amount[]` or `amount[x]` is `amount`.
 */
function foldedByPhp(name: string): string[] {
  const bare = name.replace(/^ +/, '').replace(/\0.*$/s, '');
  return [bare.replace(/\[.*$/s, '').replace(/[ .]/g, '_'), bare.replace(/[ .[]/g, '_')];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw malformed('a parameter is not well-formed UTF-8');
  }
}

function signatureOf(sign: string | undefined): Buffer {
  if (!sign) throw malformed('sign is missing');
  // A raw "+" arrives as a space; base64 has none.
  const base64 = sign.replaceAll(' ', '+');
  const signature = Buffer.from(base64, 'base64');
  if (!STRICT_BASE64.test(base64) || signature.toString('base64') !== base64) throw malformed('sign is not base64');
  return signature;
}

export function malformed(what: string): SignatureInvalidError {
  return new SignatureInvalidError('malformed', `The notification is not one of the provider's: ${what}.`);
}
