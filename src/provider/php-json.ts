import { UnencodableError } from '../alikassa.errors.js';

/** PHP's own limit (`json_encode`, parameter `depth`); it also ends a value that contains itself. */
const MAX_DEPTH = 512;
/** Whole numbers below it are PHP integers; from it on, and below the second, PHP writes a double with an exponent. */
const INTEGER_LIMIT = 2 ** 63;
const SMALL = 1e-4;
/** What JSON.stringify makes of a lone surrogate starts so; text that holds it by itself takes the longer way too. */
const LONE_SURROGATE_ESCAPE = '\\ud';
const NOT_ASCII = /[^\0-\x7f]/;
const NOT_ASCII_RUNS = /[\x80-\uffff]+/g;
const SLASHES = /\//g;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** UTF-16 unit -> its escape, filled on first use: making them anew took most of the time of a Cyrillic name. */
const ESCAPES: string[] = [];

/**
 * PHP's `json_encode` with its default flags, byte for byte (PROVIDER.md, "Request signature"). No library promises
 * PHP's bytes: `/` is escaped, every UTF-16 unit above U+007F is `\uXXXX`, DEL stays. An empty object is `[]`, as the
 * empty array is that PHP has in its place.
 *
 * Properties that are undefined are left out, as an absent array key is. Integer-like keys come first, as in every
 * JavaScript object. JavaScript cannot tell 1.0 from 1: both are `1`, as PHP writes either. A bigint is an integer.
 * @throws UnencodableError for text that is not well-formed Unicode, and for what JSON has no form for; it names the
 * path and never the value.
 */
export function phpJsonEncode(value: unknown): string {
  // The engine's own encoder is several times faster than any written here, and differs from PHP in few places.
  if (isOrdinary(value, 1)) {
    const text = JSON.stringify(value);
    if (!text.includes(LONE_SURROGATE_ESCAPE)) return escaped(text);
  }
  return encode(value, ['$']);
}

/** Whether JSON.stringify's text of it is PHP's, but for the escapes. */
function isOrdinary(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return true;
  if (typeof value === 'number') return isOrdinaryNumber(value);
  if (typeof value === 'boolean' || value === null) return true;
  if (typeof value !== 'object' || depth > MAX_DEPTH) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (!isOrdinary(value[index], depth + 1)) return false;
    }
    return true;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const entries = value as Record<string, unknown>;
  let isEmpty = true;
  for (const key in entries) {
    const inner = entries[key];
    if (typeof inner !== 'string') {
      if (inner === undefined) continue;
      if (!isOrdinary(inner, depth + 1)) return false;
    }
    isEmpty = false;
  }
  return !isEmpty;
}

function isOrdinaryNumber(value: number): boolean {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return size < INTEGER_LIMIT && !Object.is(value, -0);
  return size >= SMALL && size < INTEGER_LIMIT;
}

/** Escapes what JSON.stringify left as it is. The slash and non-ASCII stand only inside of its string literals. */
function escaped(json: string): string {
  // In this order, and with a test before each: measured, most of the time goes into looking at every character.
  const ascii = NOT_ASCII.test(json) ? json.replace(NOT_ASCII_RUNS, escapedRun) : json;
  return ascii.includes('/') ? ascii.replace(SLASHES, '\\/') : ascii;
}

function escapedRun(run: string): string {
  let text = '';
  for (let index = 0; index < run.length; index++) {
    const unit = run.charCodeAt(index);
    text += ESCAPES[unit] ??= `\\u${unit.toString(16).padStart(4, '0')}`;
  }
  return text;
}

/** Value by value, for everything out of the ordinary; it knows the path of what it refuses. */
function encode(value: unknown, path: string[]): string {
  switch (typeof value) {
    case 'string':
      return encodeString(value, path);
    case 'number':
      return encodeNumber(value, path);
    case 'bigint':
      return encodeInteger(value, path);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? 'null' : encodeContainer(value, path);
    default:
      throw unencodable(path, `a value of type ${typeof value} has no JSON form; give text, a number or leave it out`);
  }
}

function encodeContainer(value: object, path: string[]): string {
  if (path.length > MAX_DEPTH) {
    throw unencodable(path, `is nested deeper than ${MAX_DEPTH} levels, or contains itself; flatten it`);
  }
  if (Array.isArray(value)) {
    // Array.from, not map(): that would skip the holes of a sparse list in silence.
    const items = Array.from(value, (item: unknown, index) => encode(item, [...path, `[${index}]`]));
    return `[${items.join(',')}]`;
  }
  if (!isPlainObject(value)) throw unencodable(path, 'only plain objects and lists can be encoded');
  const members = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([key, inner]) => `${encodeString(key, path)}:${encode(inner, [...path, `.${key}`])}`);
  return members.length > 0 ? `{${members.join(',')}}` : '[]';
}

/** An object literal or what JSON.parse makes, of any realm: its prototype is none, or one without a prototype. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function encodeString(text: string, path: string[]): string {
  if (LONE_SURROGATE.test(text)) {
    throw unencodable(path, 'the text is not well-formed Unicode (a lone surrogate); send valid text');
  }
  return escaped(JSON.stringify(text));
}

/** Doubles as PHP writes them with `serialize_precision` -1: the shortest digits that read back as the same number. */
function encodeNumber(value: number, path: string[]): string {
  if (!Number.isFinite(value)) throw unencodable(path, 'is not a finite number; send a finite one');
  if (Object.is(value, -0)) return '-0';
  if (isOrdinaryNumber(value)) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${exponent}`;
}

/** PHP's integers have 64 bits; beyond, PHP would make it a float and lose digits. */
function encodeInteger(value: bigint, path: string[]): string {
  if (BigInt.asIntN(64, value) !== value) throw unencodable(path, 'the integer does not fit into 64 bits');
  return value.toString();
}

function unencodable(path: string[], problem: string): UnencodableError {
  // A key may be any text: what is shown of the path is bounded and printable.
  const shown = path.join('').replace(/[^ -~]/g, '?');
  return new UnencodableError(`${shown.length > 100 ? `${shown.slice(0, 100)}...` : shown}: ${problem}.`);
}
