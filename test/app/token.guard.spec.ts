import { jest } from '@jest/globals';
import crypto from 'node:crypto';
import type { ExecutionContext } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';

/** The real one, counted. */
const timingSafeEqual = jest.fn(crypto.timingSafeEqual);
jest.unstable_mockModule('node:crypto', () => ({ ...crypto, timingSafeEqual }));
const { TokenGuard } = await import('../../src/app/token.guard.js');
const { parseApiTokens } = await import('../../src/app/config.values.js');

const sha256 = (text: string): string => crypto.createHash('sha256').update(text).digest('hex');
const line = (name: string, token: string): string => `${name}:payouts:read:${sha256(token)}`;
const names = ['a', 'b', 'c'];
const tokens = parseApiTokens('T', names.map((name) => line(name, `token-${name}`)).join(','));
const guard = new TokenGuard({ getAllAndOverride: () => 'payouts:read' } as unknown as Reflector, tokens);

/** The name under which this token comes in. */
function nameOf(token: string): string | undefined {
  const request: { headers: object; user?: { name: string } } = { headers: { authorization: `Bearer ${token}` } };
  const http = { getRequest: () => request, getResponse: () => ({ setHeader: () => undefined }) };
  try {
    guard.canActivate({
      switchToHttp: () => http,
      getHandler: () => null,
      getClass: () => null,
    } as unknown as ExecutionContext);
  } catch {
    return undefined;
  }
  return request.user?.name;
}

describe('a token', () => {
  beforeEach(() => timingSafeEqual.mockClear());

  it.each([
    ['token-a', 'a'],
    ['token-b', 'b'],
    ['token-c', 'c'],
    ['token-d', undefined],
    ['', undefined],
  ])('%p is compared with every digest in constant time, and belongs to %p', (token, name) => {
    expect(nameOf(token)).toBe(name);
    expect(timingSafeEqual).toHaveBeenCalledTimes(token === '' ? 0 : names.length);
    for (const [known, presented] of timingSafeEqual.mock.calls) {
      expect([known.byteLength, Buffer.from(presented as Buffer).toString('hex')]).toEqual([32, sha256(token)]);
    }
  });
});

describe('the tokens of the environment', () => {
  it('may be several of one name, so that one can be replaced without a gap', () => {
    expect(parseApiTokens('T', `${line('a', 'old')},${line('a', 'new')}`)).toHaveLength(2);
  });

  it.each([
    ['the same digest twice, with other scopes maybe', `${line('a', 'x')},${line('b', 'x').toLowerCase()}`],
    ['the digest of an empty text, as of a variable that was not set', line('a', '')],
    ['a digest that is too short', line('a', 'x').slice(0, -1)],
    ['an unknown scope', line('a', 'x').replace('read', 'steal')],
    ['no scope', `a::${sha256('x')}`],
  ])('are refused for %s', (_, text) => {
    expect(() => parseApiTokens('T', text)).toThrow(/^T: /);
  });
});
