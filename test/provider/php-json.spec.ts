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
    [2 ** 63 - 1024, '9223372036854775000'],
    [2 ** 63, '9.223372036854776e+18'],
    [-(2 ** 63), '-9.223372036854776e+18'],
    [1e19, '1.0e+19'],
    [9.9e-5, '9.9e-5'],
    [0.1, '0.1'],
    [-0, '-0'],
    [9223372036854775807n, '9223372036854775807'],
    [-9223372036854775808n, '-9223372036854775808'],
  ])('writes the number %p as PHP does', (value, text) => {
    expect(phpJsonEncode(value)).toBe(text);
  });

  it('leaves DEL as it is and escapes what follows it', () => {
    expect(phpJsonEncode('\x7f\x80')).toBe('"\x7f\\u0080"');
  });

  it('leaves out what is undefined, and writes an empty object as the empty list', () => {
    expect(phpJsonEncode({ a: undefined, b: {} })).toBe('{"b":[]}');
  });

  const malformedText = 'the text is not well-formed Unicode (a lone surrogate); send valid text.';
  const notFinite = 'is not a finite number; send a finite one.';
  const noForm = (type: string) => `a value of type ${type} has no JSON form; give text, a number or leave it out.`;
  const notPlain = 'only plain objects and lists can be encoded.';
  class Labelled {
    label = 'x';
  }

  it.each<[string, unknown, string]>([
    ['a lone high surrogate', { x: { y: '\ud800' } }, `$.x.y: ${malformedText}`],
    ['a lone low surrogate', ['\udc00a'], `$[0]: ${malformedText}`],
    ['a key that is not well-formed', { '\ud800': 1 }, `$: ${malformedText}`],
    ['NaN', { x: NaN }, `$.x: ${notFinite}`],
    ['Infinity', [Infinity], `$[0]: ${notFinite}`],
    ['undefined in a list', [undefined], `$[0]: ${noForm('undefined')}`],
    ['a hole in a list', Object.assign([1], { length: 2 }), `$[1]: ${noForm('undefined')}`],
    ['a function', { x: () => 1 }, `$.x: ${noForm('function')}`],
    ['a date', { x: new Date() }, `$.x: ${notPlain}`],
    ['an instance of a class', [{ x: new Labelled() }], `$[0].x: ${notPlain}`],
    ['an integer beyond 64 bits', { x: 2n ** 63n }, '$.x: the integer does not fit into 64 bits.'],
  ])('refuses %s and says where', (_, value, message) => {
    expect(() => phpJsonEncode(value)).toThrow(new UnencodableError(message));
    expect(() => phpJsonEncode(value)).toThrow(UnencodableError);
  });

  it('shows of a path what is printable, and a hundred characters of it', () => {
    const at = (key: string) => () => phpJsonEncode({ [key]: NaN });
    expect(at('a\u00e9\n~')).toThrow(new UnencodableError(`$.a??~: ${notFinite}`));
    expect(at('k'.repeat(98))).toThrow(new UnencodableError(`$.${'k'.repeat(98)}: ${notFinite}`));
    expect(at('k'.repeat(99))).toThrow(new UnencodableError(`$.${'k'.repeat(98)}...: ${notFinite}`));
  });

  it.each([
    ['text', 'x'],
    ['bigints', 1n],
  ])('encodes 512 levels around %s as PHP does, and refuses one more', (_, core) => {
    const nested = (levels: number, wrap: (value: unknown) => unknown): unknown =>
      levels === 0 ? core : wrap(nested(levels - 1, wrap));
    const list = (value: unknown) => [value];
    const object = (value: unknown) => ({ a: value });
    const text = phpJsonEncode(core);
    expect(phpJsonEncode(nested(512, list))).toBe('['.repeat(512) + text + ']'.repeat(512));
    expect(phpJsonEncode(nested(512, object))).toBe('{"a":'.repeat(512) + text + '}'.repeat(512));
    for (const wrap of [list, object]) {
      expect(() => phpJsonEncode(nested(513, wrap))).toThrow('is nested deeper than 512 levels, or contains itself');
    }
  });

  it('escapes a key as it does text, every time and among many', () => {
    for (let count = 0; count < 3; count++)
      expect(phpJsonEncode({ 'a/"\u00e9': count })).toBe(`{"a\\/\\"\\u00e9":${count}}`);
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`/${index}`, 'x']));
    const text = `{${Object.keys(many)
      .map((key) => `"\\${key}":"x"`)
      .join(',')}}`;
    expect([phpJsonEncode(many), phpJsonEncode(many)]).toEqual([text, text]);
  });

  it('encodes an object without a prototype', () => {
    expect(phpJsonEncode(Object.assign(Object.create(null) as object, { a: 1 }))).toBe('{"a":1}');
  });

  it('encodes ordinary values alike beside one that is not', () => {
    const ordinary = { a: true, b: false, c: [1, 'x', null, 1.5], d: 'a/\u00e9', e: { f: 'g' }, h: undefined };
    const text = '"a":true,"b":false,"c":[1,"x",null,1.5],"d":"a\\/\\u00e9","e":{"f":"g"}';
    expect(phpJsonEncode(ordinary)).toBe(`{${text}}`);
    expect(phpJsonEncode({ ...ordinary, id: 7n, none: {} })).toBe(`{${text},"id":7,"none":[]}`);
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
