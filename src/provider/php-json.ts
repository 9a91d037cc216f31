import { UnencodableError } from '../alikassa.errors.js';

/** Everything that PHP writes as it is: printable ASCII and DEL without `"`, `/` and `\`. */
const PLAIN = /^[ !#-.0-[\]-\x7f]*$/;
const ESCAPED = /["/\\]|[^ -\x7f]/g;
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '/': '\\/',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/**
 * PHP's `json_encode` with its default flags, byte for byte (PROVIDER.md, "Request signature"). Written by hand, since
 * no library promises PHP's bytes: `/` is escaped, every UTF-16 unit above U+007F is `\uXXXX`, an empty object is the
 * empty array that PHP has in its place.
 *
 * Properties that are undefined are left out, as an absent array key is. Integer-like keys come first, as in every
 * JavaScript object.
 * @throws UnencodableError for text that is not well-formed Unicode, and for what JSON has no form for; it names the path.
 */
export function phpJsonEncode(value: unknown): string {
  return encode(value, '$', new Set());
}

function encode(value: unknown, path: string, parents: Set<object>): string {
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
      return value === null ? 'null' : encodeContainer(value, path, parents);
    default:
      throw new UnencodableError(`${path}: a ${typeof value} has no JSON form; give text, a number or leave it out.`);
  }
}

function encodeContainer(value: object, path: string, parents: Set<object>): string {
  if (parents.has(value)) throw new UnencodableError(`${path}: the value contains itself; break the cycle.`);
  parents.add(value);
  const text = Array.isArray(value) ? encodeList(value, path, parents) : encodeObject(value, path, parents);
  parents.delete(value);
  return text;
}

function encodeList(list: readonly unknown[], path: string, parents: Set<object>): string {
  // Not map(): it would skip the holes of a sparse list in silence.
  const items = Array.from(list, (item, index) => encode(item, `${path}[${index}]`, parents));
  return `[${items.join(',')}]`;
}

function encodeObject(value: object, path: string, parents: Set<object>): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || !(value instanceof Date || ArrayBuffer.isView(value) || value instanceof Map);
  if (!isPlain || value instanceof Set) {
    throw new UnencodableError(`${path}: only plain objects and lists can be encoded.`);
  }
  let text = '';
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    text += `${text && ','}${encodeString(key, path)}:${encode(inner, `${path}.${key}`, parents)}`;
  }
  return text ? `{${text}}` : '[]';
}

function encodeString(text: string, path: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (!isWellFormed(text)) {
    throw new UnencodableError(`${path}: the text is not well-formed Unicode (a lone surrogate); send valid text.`);
  }
  return `"${text.replace(ESCAPED, (unit) => SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Doubles as PHP writes them with serialize_precision -1: shortest digits, an exponent outside of 1e-4 to 1e17. */
function encodeNumber(value: number, path: string): string {
  if (!Number.isFinite(value)) throw new UnencodableError(`${path}: ${value} has no JSON form; send a finite number.`);
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e17)) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${exponent}`;
}

/** PHP's integers have 64 bits; beyond, PHP would make it a float and lose digits. */
function encodeInteger(value: bigint, path: string): string {
  if (BigInt.asIntN(64, value) !== value) throw new UnencodableError(`${path}: the integer does not fit into 64 bits.`);
  return value.toString();
}
