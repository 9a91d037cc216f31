import { randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../src/alikassa.errors.js';
import { loadConfig } from '../../src/app/app.config.js';

const GOOD = {
  ALIKASSA_ACCOUNTS: 'RUB:93d5df06-996c-48c3-9847-348d6b580b80',
  DATABASE_URL: 'postgres://localhost/x',
  ALIKASSA_PRIVATE_KEY: 'a key',
  ALIKASSA_NOTIFICATION_PUBLIC_KEY: 'a key',
  ALIKASSA_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  ALIKASSA_API_TOKENS: `shop:payouts:read:${'0'.repeat(64)}`,
};

describe('ALIKASSA_CONFIRM_NOTIFICATIONS', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['false', false],
    ['true', true],
    [' TRUE ', true],
  ])('%p means %p', (text, flag) => {
    const { alikassa } = loadConfig({ ...GOOD, ALIKASSA_CONFIRM_NOTIFICATIONS: text });
    expect(alikassa.confirmNotifications).toBe(flag);
  });

  it.each(['yes', '1', '0'])('%p stops the start, since it could mean either', (text) => {
    expect(() => loadConfig({ ...GOOD, ALIKASSA_CONFIRM_NOTIFICATIONS: text })).toThrow(
      new ConfigurationError('ALIKASSA_CONFIRM_NOTIFICATIONS', 'must be true or false'),
    );
  });
});

describe('ALIKASSA_PROXY', () => {
  it('is the proxy of all calls to the provider', () => {
    const { alikassa } = loadConfig({ ...GOOD, ALIKASSA_PROXY: ' http://user:secret@proxy.example:3128 ' });
    expect(alikassa.proxy).toBe('http://user:secret@proxy.example:3128');
  });

  it('stops the start under its own name if it is none, without a word of what it holds', () => {
    const start = (): unknown => loadConfig({ ...GOOD, ALIKASSA_PROXY: 'socks5://user:secret@proxy.example:1080' });
    expect(start).toThrow(/^ALIKASSA_PROXY: must be http or https, as http:\/\/user:password@host:port$/);
  });
});

describe('LOG_FORMAT', () => {
  it('is text unless json is asked for', () => {
    const formats = [undefined, 'text', ' JSON '].map((text) => loadConfig({ ...GOOD, LOG_FORMAT: text }).logFormat);
    expect(formats).toEqual(['text', 'text', 'json']);
  });

  it('of any other kind stops the start', () => {
    expect(() => loadConfig({ ...GOOD, LOG_FORMAT: 'xml' })).toThrow(
      new ConfigurationError('LOG_FORMAT', 'must be text or json'),
    );
  });
});

describe('ALIKASSA_WORKER_ENABLED', () => {
  it.each([
    [undefined, true],
    ['', true],
    ['true', true],
    [' FALSE ', false],
  ])('%j is %j', (text, enabled) => {
    expect(loadConfig({ ...GOOD, ALIKASSA_WORKER_ENABLED: text }).alikassa.worker?.enabled).toBe(enabled);
  });

  it('is true or false, and nothing else', () => {
    expect(() => loadConfig({ ...GOOD, ALIKASSA_WORKER_ENABLED: 'no' })).toThrow(
      new ConfigurationError('ALIKASSA_WORKER_ENABLED', 'must be true or false'),
    );
  });
});
