import { UnsupportedMediaTypeException } from '@nestjs/common';
import { InvalidInputError } from '../alikassa.errors.js';
import { rawBodyOf, type RequestWithBody } from './raw.bodies.js';

const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]*)/i;
/** Texts, numbers and colons of well-formed JSON. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*|:/gs;
/** Reads UTF-8 and nothing else; a byte order mark is left out. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The request's JSON, read from the bytes that were sent: no pipe, parser or conversion of the host's has a part in it.
 * @throws UnsupportedMediaTypeException, PayloadTooLargeException, InvalidInputError
 */
export async function jsonOf(request: RequestWithBody): Promise<unknown> {
  const type = String(request.headers['content-type'] ?? '');
  const charset = CHARSET.exec(type)?.[1] ?? 'utf-8';
  if (!JSON_TYPE.test(type) || !/^utf-?8$/i.test(charset)) {
    throw new UnsupportedMediaTypeException('The body must be sent as application/json in UTF-8.');
  }
  const bytes = await rawBodyOf(request);
  try {
    return exactJson(UTF8.decode(bytes));
  } catch (error) {
    if (error instanceof InvalidInputError) throw error;
    // The parser's own message quotes the body, and so the recipient.
    throw new InvalidInputError(['body must be well-formed JSON in UTF-8']);
  }
}

/**
 * Reads JSON in which every name stands once. A number that is not written as plain digits, or has more of them than are
 * exact, becomes what no field takes. `JSON.parse` reads it, and only what that hides is looked for in the text: libraries
 * that tell as much (momoa) take text with control characters, and a deep body overflows their stack.
 * @throws SyntaxError, InvalidInputError
 */
export function exactJson(text: string): unknown {
  JSON.parse(text);
  let names = 0;
  const exact = text.replace(TOKEN, (token) => {
    if (token === ':') names += 1;
    const isNumber = token !== ':' && !token.startsWith('"');
    return isNumber && !isExact(token) ? '[]' : token;
  });
  const value: unknown = JSON.parse(exact);
  if (namesIn(value) !== names) throw new InvalidInputError(['body must not give a field twice']);
  return value;
}

function isExact(number: string): boolean {
  return /^(?:0|[1-9][0-9]*)$/.test(number) && Number.isSafeInteger(Number(number));
}

/** How many remain of those that were given. Without recursion: a body may be deeper than the stack. */
function namesIn(value: unknown): number {
  let names = 0;
  for (const waiting = [value]; waiting.length > 0;) {
    const one = waiting.pop();
    if (typeof one !== 'object' || one === null) continue;
    const held: unknown[] = Object.values(one);
    if (!Array.isArray(one)) names += held.length;
    for (const inner of held) waiting.push(inner);
  }
  return names;
}

/**
 * The parameters of a URL's query as they were sent, text each.
 * @throws InvalidInputError where one is given twice.
 */
export function queryFields(url: string): Record<string, string> {
  const at = url.indexOf('?');
  const given = [...new URLSearchParams(at < 0 ? '' : url.slice(at + 1))];
  // An own property also where it is called `__proto__`.
  const fields = Object.fromEntries(given);
  const repeated = given.map(([name]) => name).find((name, index, all) => all.indexOf(name) !== index);
  if (repeated !== undefined) throw new InvalidInputError([`${shownName(repeated)} must be given once`]);
  return fields;
}

/** The sender's own names may hold anything, a card number too. */
export function shownName(name: string): string {
  return /^[A-Za-z_]{1,40}$/.test(name) ? name : '(unknown name)';
}
