import { UnencodableError } from '../alikassa.errors.js';

/** PHP's own limit (`json_encode`, parameter `depth`); it also ends a value that contains itself. */
const MAX_DEPTH = 512;
/** Whole numbers below it are PHP's integers; from it on they are doubles, with an exponent. */
const INTEGER_LIMIT = 2 ** 63;
/** Fractions below it have an exponent. */
const SMALL = 1e-4;
/** Text that is PHP's as it stands: printable ASCII and DEL, without quote, backslash and slash. */
const NOT_PLAIN = /[^ !#-.0-[\]-\x7f]/;
const LAST_ASCII = 0x7f;
/** UTF-16 unit of ASCII -> whether it is PHP's as it stands. */
const IS_PLAIN = Array.from({ length: LAST_ASCII + 1 }, (_, unit) => !NOT_PLAIN.test(String.fromCharCode(unit)));
/** UTF-16 unit -> its escape, filled on first use: making them anew took most of the time of a Cyrillic name. */
const ESCAPES: string[] = [];
/** Key -> how it stands before its value: the provider has some 30 of them. Bounded, since a key may be any text. */
const KEYS = new Map<string, string>();
const MOST_KEYS = 200;

/** What cannot be encoded; the containers that it passes on its way out add where it is. */
class Fault {
  private readonly path: string[] = [];

  constructor(private readonly problem: string) {}

  within(segment: string): void {
    this.path.unshift(segment);
  }

  get error(): UnencodableError {
    // A key may be any text: what is shown of the path is bounded and printable.
    const shown = `$${this.path.join('')}`.replace(/[^ -~]/g, '?');
    return new UnencodableError(`${shown.length > 100 ? `${shown.slice(0, 100)}...` : shown}: ${this.problem}.`);
  }
}

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
  try {
    return encode(value, 1);
  } catch (fault) {
    throw fault instanceof Fault ? fault.error : fault;
  }
}

function encode(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return encodeString(value);
    case 'number':
      return encodeNumber(value);
    case 'bigint':
      return encodeInteger(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      return value === null ? 'null' : encodeContainer(value, depth);
    default:
      throw new Fault(`a value of type ${typeof value} has no JSON form; give text, a number or leave it out`);
  }
}

function encodeContainer(value: object, depth: number): string {
  if (depth > MAX_DEPTH) {
    throw new Fault(`is nested deeper than ${MAX_DEPTH} levels, or contains itself; flatten it`);
  }
  if (Array.isArray(value)) return encodeList(value, depth);
  if (!isPlainObject(value)) throw new Fault('only plain objects and lists can be encoded');
  return encodeObject(value as Readonly<Record<string, unknown>>, depth);
}

function encodeList(list: readonly unknown[], depth: number): string {
  let text = '';
  // By index: a hole of a sparse list must not be skipped in silence.
  for (let index = 0; index < list.length; index++) {
    text += index === 0 ? '[' : ',';
    text += encodeWithin(list[index], depth, () => `[${index}]`);
  }
  return text === '' ? '[]' : `${text}]`;
}

function encodeObject(entries: Readonly<Record<string, unknown>>, depth: number): string {
  let text = '';
  for (const key of Object.keys(entries)) {
    const value = entries[key];
    if (value === undefined) continue;
    const start = (text === '' ? '{' : ',') + encodeKey(key);
    // Nearly all that is sent: it needs no path, since it cannot fail.
    if (typeof value === 'string' && !NOT_PLAIN.test(value)) text += `${start}"${value}"`;
    else text += start + encodeWithin(value, depth, () => `.${key}`);
  }
  return text === '' ? '[]' : `${text}}`;
}

function encodeKey(key: string): string {
  const known = KEYS.get(key);
  if (known !== undefined) return known;
  const encoded = `${encodeString(key)}:`;
  if (KEYS.size < MOST_KEYS) KEYS.set(key, encoded);
  return encoded;
}

function encodeWithin(value: unknown, depth: number, segment: () => string): string {
  try {
    return encode(value, depth + 1);
  } catch (fault) {
    if (fault instanceof Fault) fault.within(segment());
    throw fault;
  }
}

/** An object literal or what JSON.parse makes, of any realm: its prototype is none, or one without a prototype. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function encodeString(text: string): string {
  if (!NOT_PLAIN.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) {
    throw new Fault('the text is not well-formed Unicode (a lone surrogate); send valid text');
  }
  let escaped = '"';
  let from = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (IS_PLAIN[unit]) continue;
    escaped += text.slice(from, index) + (ESCAPES[unit] ??= escapeOf(unit));
    from = index + 1;
  }
  return `${escaped}${text.slice(from)}"`;
}

function escapeOf(unit: number): string {
  if (unit > LAST_ASCII) return `\\u${unit.toString(16).padStart(4, '0')}`;
  const unitAlone = String.fromCharCode(unit);
  return unitAlone === '/' ? '\\/' : JSON.stringify(unitAlone).slice(1, -1);
}

/** Doubles as PHP writes them with `serialize_precision` -1: the shortest digits that read back as the same number. */
function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Fault('is not a finite number; send a finite one');
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (Number.isInteger(value) ? size < INTEGER_LIMIT : size >= SMALL) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${exponent}`;
}

/** PHP's integers have 64 bits; beyond, PHP would make it a float and lose digits. */
function encodeInteger(value: bigint): string {
  if (BigInt.asIntN(64, value) !== value) throw new Fault('the integer does not fit into 64 bits');
  return value.toString();
}
