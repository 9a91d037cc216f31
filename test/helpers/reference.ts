import { createHash } from 'node:crypto';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import { loadConfig, type Environment } from '../../src/app/app.config.js';
import { createApp } from '../../src/app/main.js';
import { EUR, prepare, RUB, type TestSurroundings } from './application.js';

/** Bearer tokens of the reference application, by the name that stands in the events. */
export const TOKENS = {
  shop: { scopes: 'payouts:create', text: 'shop-token' },
  reader: { scopes: 'payouts:read', text: 'reader-token' },
  operator: { scopes: 'payouts:operate', text: 'operator-token' },
  all: { scopes: 'payouts:create+payouts:read+payouts:operate', text: 'token-of-all-scopes' },
} as const;

export interface ReferenceApplication extends TestSurroundings {
  app: NestExpressApplication;
  url: string;
  /** One request; text and bytes go as they are, anything else as JSON. */
  call(token: string | undefined, method: string, path: string, body?: unknown, headers?: object): Promise<Answer>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Of the text, where it is JSON. */
  body: Record<string, unknown>;
}

/** What the reference application reads, with `TOKENS`. */
export function referenceEnvironment({ database, options, port }: TestSurroundings): Environment {
  const tokens = Object.entries(TOKENS).map(
    ([name, { scopes, text }]) => `${name}:${scopes}:${createHash('sha256').update(text).digest('hex')}`,
  );
  return {
    LOG_LEVEL: 'warn',
    PORT: String(port),
    DATABASE_URL: database.url,
    ALIKASSA_BASE_URL: options.baseUrl,
    ALIKASSA_NOTIFICATION_URL: options.notificationUrl,
    ALIKASSA_ACCOUNTS: `RUB:${RUB},EUR:${EUR}`,
    ALIKASSA_PRIVATE_KEY: String(options.privateKey),
    ALIKASSA_PRIVATE_KEY_PASSWORD: options.passphrase,
    ALIKASSA_NOTIFICATION_PUBLIC_KEY: String(options.notificationPublicKey),
    ALIKASSA_ENCRYPTION_KEYS: options.encryptionKeys.map(({ id, key }) => `${id}:${String(key)}`).join(','),
    ALIKASSA_API_TOKENS: tokens.join(','),
  };
}

/** The reference application as `alikassa serve` makes it, listening, with a database and a simulator of its own. */
export async function startReference(changes: Partial<AliKassaOptions> = {}): Promise<ReferenceApplication> {
  const surroundings = await prepare({ options: changes });
  const { options, port } = surroundings;
  const config = loadConfig(referenceEnvironment(surroundings));
  const app = await createApp({ ...config, alikassa: { ...options, ...config.alikassa, ...tuned(options) } });
  await app.listen(port, '127.0.0.1');
  const url = `http://127.0.0.1:${port}/alikassa`;
  return {
    ...surroundings,
    app,
    url,
    call: (token, method, path, body, headers) => call(url, token, method, path, body, headers),
    stop: async () => {
      await app.close();
      await surroundings.stop();
    },
  };
}

/** What the environment has no name for, or another default. */
function tuned({
  worker,
  timeoutMs,
  leaseMs,
  checkSchedule,
  rejectAfterMs,
}: AliKassaOptions): Partial<AliKassaOptions> {
  return { worker, timeoutMs, leaseMs, checkSchedule, rejectAfterMs };
}

async function call(
  url: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: object = {},
): Promise<Answer> {
  const response = await fetch(`${url}/${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not every answer is JSON; whoever needs one asserts it.
  }
  return { status: response.status, headers: response.headers, text, body: (parsed ?? {}) as Answer['body'] };
}
