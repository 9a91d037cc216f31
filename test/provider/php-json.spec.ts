import { readFileSync } from 'node:fs';
import { UnencodableError } from '../../src/alikassa.errors.js';
import { phpJsonEncode } from '../../src/provider/php-json.js';

interface Vector {
  why: string;
  value: unknown;
  php_json: string;
}
const vectors = JSON.parse(readFileSync('test/vectors/json-encode.json', 'utf8')) as Vector[];

describe('phpJsonEncode', () => {
  it.each(vectors)('encodes as PHP did: $why', ({ value, php_json }) => {
    expect(phpJsonEncode(value)).toBe(php_json);
  });

  it.each([
    [1e25, '1.0e+25'],
    [1.5e-7, '1.5e-7'],
    [1e-5, '1.0e-5'],
    [0.0001, '0.0001'],
    [1e16, '10000000000000000'],
    [1e18, '1000000000000000000'],
    [1e19, '1.0e+19'],
    [0.1, '0.1'],
    [-0, '-0'],
    [9223372036854775807n, '9223372036854775807'],
  ])('writes the number %p as PHP does', (value, text) => {
    expect(phpJsonEncode(value)).toBe(text);
  });

  it('leaves DEL as it is and escapes what follows it', () => {
    expect(phpJsonEncode('\x7f\x80')).toBe('"\x7f\\u0080"');
  });

  it('leaves out what is undefined, and writes an empty object as the empty list', () => {
    expect(phpJsonEncode({ a: undefined, b: {} })).toBe('{"b":[]}');
  });

  it.each([
    ['a lone high surrogate', { x: { y: '\ud800' } }, '$.x.y'],
    ['a lone low surrogate', ['\udc00a'], '$[0]'],
    ['a key that is not well-formed', { '\ud800': 1 }, '$'],
    ['NaN', { x: NaN }, '$.x'],
    ['Infinity', [Infinity], '$[0]'],
    ['undefined in a list', [undefined], '$[0]'],
    ['a function', { x: () => 1 }, '$.x'],
    ['a date', { x: new Date() }, '$.x'],
    ['an integer beyond 64 bits', { x: 2n ** 63n }, '$.x'],
  ])('refuses %s and says where', (_, value, path) => {
    expect(() => phpJsonEncode(value)).toThrow(UnencodableError);
    expect(() => phpJsonEncode(value)).toThrow(path);
  });

  it('refuses a value that contains itself, but not one that stands twice', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(() => phpJsonEncode(loop)).toThrow('contains itself');
    const shared = { a: 1 };
    expect(phpJsonEncode([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });

  it('never quotes the text that it refuses', () => {
    expect(() => phpJsonEncode({ number: '4111111111111111\ud800' })).toThrow(/^(?!.*4111).*$/s);
  });
});
