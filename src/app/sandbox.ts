import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { lstat, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError } from '../alikassa.errors.js';
import { AliKassaSimulator, generateTestKeys, type TestKeys } from '../testing/index.js';
import { loadConfig, type AppConfig, type Environment } from './app.config.js';
import { migrateUp } from './database.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { lockFolder } from './folder.lock.js';
import { isReachable, serverUser } from './postgres.binaries.js';

export interface SandboxOptions {
  /** Holds keys, token and data; used again at the next start. */
  folder: string;
  /** Of the application; the simulator sends its notifications there. */
  port: number;
  /** Settings of the operator's that the sandbox leaves alone, e.g. the check schedule. */
  env: Environment;
  /** How long the simulator takes to answer, and to end a payout. */
  latencyMs: number;
  settleAfterMs: number;
  /** `false` if the folder is thrown away afterwards. Default true. */
  durable?: boolean;
  /** Told what the operator should know. */
  say?: (line: string) => void;
}

/** Everything that the reference application needs, on this machine alone. */
export interface Sandbox {
  config: AppConfig;
  /** With every scope. */
  token: string;
  accounts: { RUB: string; EUR: string };
  simulator: AliKassaSimulator;
  /** Ends simulator and database; the folder stays. */
  stop(): Promise<void>;
}

/** What is made once and kept. */
interface Identity {
  keys: TestKeys;
  accounts: { RUB: string; EUR: string };
  encryptionKey: string;
  token: string;
}

const WORKER_SCHEMA = 'alikassa_worker';
const REJECT_AFTER_MS = 2_000;
const DEFAULT_SCHEDULE = '1s,2s,5s,10s,30s';
const SCOPES = 'payouts:create+payouts:read+payouts:operate';

/**
 * Starts the embedded Postgres and the simulator, runs the migrations, and makes the configuration that goes with them.
 * @throws ConfigurationError
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { folder } = options;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const undo: (() => Promise<unknown>)[] = [await lockFolder(folder)];
  const stop = async (): Promise<void> => {
    // Last in, first out; each one must end even if another cannot.
    for (let end = undo.pop(); end; end = undo.pop()) await end().catch(() => undefined);
  };
  try {
    const identity = await keptIdentity(folder);
    const { accounts, keys, token } = identity;
    const postgres = await startEmbeddedPostgres({
      folder: await dataFolder(folder, options.say),
      database: 'alikassa',
      durable: options.durable,
    });
    undo.push(() => postgres.stop());
    const notificationUrl = `http://127.0.0.1:${options.port}/alikassa/notifications`;
    const simulator = new AliKassaSimulator({
      payoutPublicKey: keys.payout.publicKey,
      notificationPrivateKey: keys.notification.privateKey,
      accounts: Object.entries(accounts).map(([currency, uuid]) => ({ currency, uuid })),
      latencyMs: options.latencyMs,
      settleAfterMs: options.settleAfterMs,
      // The database is kept from start to start, what the simulator has given out is not.
      firstId: Date.now(),
      notificationUrl,
    });
    await simulator.start();
    undo.push(() => simulator.stop());
    await migrateUp(postgres.url, WORKER_SCHEMA);
    const config = configOf(options, identity, postgres.url, simulator.url, notificationUrl);
    return { config, token, accounts, simulator, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Goes through the environment's names, so that sandbox and production read their configuration the same way. */
function configOf(
  { env, port }: SandboxOptions,
  { accounts, encryptionKey, keys, token }: Identity,
  databaseUrl: string,
  baseUrl: string,
  notificationUrl: string,
): AppConfig {
  const config = loadConfig({
    LOG_LEVEL: env.LOG_LEVEL,
    LOG_FORMAT: env.LOG_FORMAT,
    ALIKASSA_TIMEOUT_MS: env.ALIKASSA_TIMEOUT_MS,
    ALIKASSA_LEASE_MS: env.ALIKASSA_LEASE_MS,
    ALIKASSA_CONCURRENCY: env.ALIKASSA_CONCURRENCY,
    ALIKASSA_CONFIRM_NOTIFICATIONS: env.ALIKASSA_CONFIRM_NOTIFICATIONS,
    ALIKASSA_CHECK_SCHEDULE: env.ALIKASSA_CHECK_SCHEDULE || DEFAULT_SCHEDULE,
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    ALIKASSA_BASE_URL: baseUrl,
    ALIKASSA_NOTIFICATION_URL: notificationUrl,
    ALIKASSA_ACCOUNTS: `RUB:${accounts.RUB},EUR:${accounts.EUR}`,
    ALIKASSA_PRIVATE_KEY: keys.payout.privateKey,
    ALIKASSA_PRIVATE_KEY_PASSWORD: keys.payout.passphrase,
    ALIKASSA_NOTIFICATION_PUBLIC_KEY: keys.notification.publicKey,
    ALIKASSA_ENCRYPTION_KEYS: `sandbox:${encryptionKey}`,
    ALIKASSA_API_TOKENS: `sandbox:${SCOPES}:${createHash('sha256').update(token).digest('hex')}`,
  });
  return {
    ...config,
    host: '127.0.0.1',
    // Against a simulator, "not found" need not be doubted for two minutes.
    alikassa: {
      ...config.alikassa,
      rejectAfterMs: REJECT_AFTER_MS,
      worker: { ...config.alikassa.worker, schema: WORKER_SCHEMA, sweepIntervalMs: 1_000 },
    },
  };
}

/** Keys, accounts and token of the sandbox, made at its first start. */
async function keptIdentity(folder: string): Promise<Identity> {
  const path = join(folder, 'identity.json');
  const kept = await readFile(path, 'utf8').catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept) as Identity;
  const identity: Identity = {
    keys: await generateTestKeys(),
    accounts: { RUB: randomUUID(), EUR: randomUUID() },
    encryptionKey: randomBytes(32).toString('base64'),
    token: randomBytes(24).toString('base64url'),
  };
  await writeFile(`${path}.part`, JSON.stringify(identity, null, 2), { mode: 0o600 });
  await rename(`${path}.part`, path);
  return identity;
}

/** Where Postgres keeps its data: in the folder, or in the temporary one if Postgres cannot get there (below /root). */
async function dataFolder(folder: string, say?: (line: string) => void): Promise<string> {
  const user = await serverUser();
  if (await isReachable(folder, user)) return join(folder, 'postgres');
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 12);
  const fallback = join(tmpdir(), `nestjs-alikassa-sandbox-${name}`);
  await mkdir(fallback, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  // Anyone may write to the temporary folder: what waits there under this name must be ours.
  const found = await lstat(fallback);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
    throw new ConfigurationError(fallback, 'belongs to someone else; remove it, or start from a folder open to others');
  }
  say?.(`Postgres cannot reach ${folder}, so its data is kept in ${fallback}`);
  return fallback;
}
