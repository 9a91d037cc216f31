import { createHash } from 'node:crypto';
import { ConfigurationError } from '../alikassa.errors.js';
import type { AliKassaAccount, EncryptionKey } from '../alikassa.options.js';
import type { PayoutScope } from '../payouts/payout.scopes.js';

/** Who may call the REST endpoints; the token itself is known to its owner only. */
export interface ApiToken {
  name: string;
  scopes: PayoutScope[];
  /** SHA-256 of the token: 32 bytes. */
  digest: Buffer;
}

const SCOPES: readonly PayoutScope[] = ['payouts:create', 'payouts:read', 'payouts:operate'];
/** What `printf %s "$TOKEN" | sha256sum` gives where the variable is not set. */
const EMPTY_DIGEST = createHash('sha256').digest('hex');
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10s,30s,1m,5m,15m,1h` in milliseconds. @throws ConfigurationError */
export function parseDurations(setting: string, text: string): number[] {
  return parts(text).map((part) => {
    const [, number, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(part) ?? [];
    if (number === undefined || unit === undefined) {
      throw new ConfigurationError(setting, `"${part}" is not a duration such as 10s, 5m or 1h`);
    }
    return Number(number) * (UNITS[unit] ?? 1);
  });
}

/** A whole number of at least `min`. @throws ConfigurationError */
export function parseNumber(setting: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new ConfigurationError(setting, `must be a whole number ${range}`);
}

/** `EUR:uuid,RUB:uuid`. @throws ConfigurationError */
export function parseAccounts(setting: string, text: string): AliKassaAccount[] {
  return parts(text).map((part) => {
    const [, currency, uuid] = /^([A-Za-z]{3}):([0-9A-Fa-f-]{36})$/.exec(part) ?? [];
    if (currency === undefined || uuid === undefined) {
      throw new ConfigurationError(setting, 'must be written as EUR:uuid,RUB:uuid');
    }
    return { currency: currency.toUpperCase(), uuid };
  });
}

/** `id:base64,...`; the first one is active. No message quotes a key. @throws ConfigurationError */
export function parseEncryptionKeys(setting: string, text: string): EncryptionKey[] {
  return parts(text).map((part) => {
    const [, id, key] = /^([A-Za-z0-9_-]+):([A-Za-z0-9+/]+={0,2})$/.exec(part) ?? [];
    if (id === undefined || key === undefined) {
      throw new ConfigurationError(setting, 'must be written as id:base64,... (a key: openssl rand -base64 32)');
    }
    return { id, key };
  });
}

/** `name:scope+scope:sha256-hex,...`. No message quotes a digest. @throws ConfigurationError */
export function parseApiTokens(setting: string, text: string): ApiToken[] {
  const seen = new Set<string>([EMPTY_DIGEST]);
  return parts(text).map((part) => {
    // Scopes hold a colon themselves, hence the greedy middle.
    const [, name, scopes, digest] = /^([A-Za-z0-9_.-]{1,64}):(.+):([0-9A-Fa-f]{64})$/.exec(part) ?? [];
    if (name === undefined || scopes === undefined || digest === undefined) {
      throw new ConfigurationError(
        setting,
        'must be written as name:scope+scope:sha256-hex,... (64 hex digits at the end)',
      );
    }
    if (seen.has(digest.toLowerCase())) {
      const what = digest.toLowerCase() === EMPTY_DIGEST ? 'of an empty text' : 'of another token too';
      throw new ConfigurationError(setting, `the digest of token "${name}" is that ${what}; give each its own`);
    }
    seen.add(digest.toLowerCase());
    return {
      name,
      scopes: scopes.split('+').map((scope) => checkedScope(setting, name, scope)),
      digest: Buffer.from(digest, 'hex'),
    };
  });
}

/** The address of a Postgres database. It holds a password, so no message quotes it. @throws ConfigurationError */
export function checkedDatabaseUrl(setting: string, text: string): string {
  if (/^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new ConfigurationError(setting, 'must be postgres://user:password@host:5432/database');
}

function checkedScope(setting: string, name: string, text: string): PayoutScope {
  const scope = SCOPES.find((known) => known === text);
  if (scope) return scope;
  throw new ConfigurationError(
    setting,
    `token "${name}" has the unknown scope "${text}"; scopes are ${SCOPES.join(', ')}`,
  );
}

function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
