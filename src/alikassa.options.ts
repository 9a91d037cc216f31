import { X509Certificate } from 'node:crypto';
import { ConfigurationError } from './alikassa.errors.js';

/** One account at the provider: a uuid and the currency it pays in. The payout key is the merchant's, shared by all. */
export interface AliKassaAccount {
  uuid: string;
  /** ISO 4217 code, upper-case, e.g. `RUB`, `EUR`. */
  currency: string;
}

/** One key of the ring that encrypts recipients' data: 32 bytes under a short id. */
export interface EncryptionKey {
  id: string;
  /** 32 bytes, or their base64. */
  key: string | Buffer;
}

/** Digest of an RSA signature. */
export type SignatureDigest = 'sha1' | 'sha256';

/** How this process works on jobs. */
export interface WorkerOptions {
  /** `false`: this process only accepts payouts; another one sends them. Default true. */
  enabled?: boolean | undefined;
  /** Jobs run at once by this process, each over a connection of its own; 10000 at most. Default 10. */
  concurrency?: number | undefined;
  /** Postgres schema that graphile-worker keeps its jobs in. Default `alikassa_worker`. */
  schema?: string | undefined;
  /** Milliseconds between two sweeps, from 50 to 2147483647. Default 5000. */
  sweepIntervalMs?: number | undefined;
  /**
   * Milliseconds that one call of a handler (`@OnPayoutStatus`) may take; one that takes longer counts as failed, and is
   * repeated with back-off while it goes on. Default 30000.
   */
  handlerTimeoutMs?: number | undefined;
}

/** What the host tells the module. Times are milliseconds, ten years at most. */
export interface AliKassaOptions {
  /** The accounts that may pay out; at least one, each uuid once. */
  accounts: AliKassaAccount[];
  /** `private.pem` of the payout certificate: its text. */
  privateKey: string | Buffer;
  /** `password.txt` of the payout certificate: its text, with or without a line break at the end. */
  passphrase?: string | undefined;
  /** `public.pem` of the certificate for notifications: its text. */
  notificationPublicKey: string | Buffer;
  /** Digest of request signatures. Default `sha1`, as PHP's openssl_sign. */
  digest?: SignatureDigest | undefined;
  /** Default `https://api-merchant.alikassa.com`. */
  baseUrl?: string | undefined;
  /** Certificate authorities that the provider's certificate is checked by, instead of Node's own. PEM. */
  ca?: string | Buffer | undefined;
  /**
   * HTTP proxy that all calls to the provider go through, by CONNECT: `http://user:password@host:port`, or https, whose
   * certificate is checked by the same authorities. Credentials are percent-encoded. Variables such as `HTTPS_PROXY` have
   * no effect.
   */
  proxy?: string | undefined;
  /** Ring for recipients' data; the first key is active, the others only decrypt. */
  encryptionKeys: EncryptionKey[];
  /**
   * Days after its end for which a payout's recipient stays readable, by the database's clock; then the ciphertext is
   * erased. Masked number and fingerprints stay, for search and repeated creates. Default: it is kept.
   */
  recipientRetentionDays?: number | undefined;
  /** Sent as `notification_endpoint_url` where a payout names no endpoint of its own. */
  notificationUrl?: string | undefined;
  /**
   * `true`: a notification settles nothing by its own word; the status call is asked at once, and settles. Then the key
   * for notifications alone, in wrong hands, makes no payout paid. Default false.
   */
  confirmNotifications?: boolean | undefined;
  /**
   * Total time for one call to the provider; a submission's counts from its first byte. Opening a connection takes as long,
   * and 10 seconds at most. At most 2147483647. Default 30000.
   */
  timeoutMs?: number | undefined;
  /**
   * How long a sending attempt may hold its payout; at least `timeoutMs` + 500. What is left beside `timeoutMs` is the time
   * from the claim to the first byte: later than that nothing is sent. Default `timeoutMs` + 30000.
   */
  leaseMs?: number | undefined;
  /** Pauses between status calls; the last one repeats. Default 10s, 30s, 1m, 5m, 15m, 1h. */
  checkSchedule?: number[] | undefined;
  /**
   * Pauses between status calls for a payout that has ended, but not by the provider's word (`rejected`, or a person's
   * decision): what it says against the end calls a person. Default 1h, 6h, 24h, 48h, 96h; an empty list: none is asked.
   */
  followUpSchedule?: number[] | undefined;
  /** A payout that stays `wait` or `unknown` for longer gets `attention`; polling goes on. Default 24 h. */
  attentionAfterMs?: number | undefined;
  /** After the documented 400: "not found" must be seen this often before a payout is `rejected`. Default 2. */
  rejectAfterNotFound?: number | undefined;
  /** After the documented 400: and over at least this long. Default 120000. */
  rejectAfterMs?: number | undefined;
  /**
   * What becomes of a payout that may have been sent but that the provider says it does not have, as often and as long
   * as above. `hold` (default): it waits for a person, with `attention`. `resubmit`: the same order_id and the same body
   * are sent again; only safe if the provider refuses an order_id that it knows, which it does not promise.
   */
  onNotFound?: 'hold' | 'resubmit' | undefined;
  /** With `resubmit`: attempts that may have been sent before the payout is held all the same. Default 5. */
  maxResubmissions?: number | undefined;
  /**
   * Attempts proven never sent before the payout is held with `attention`. Their pause doubles up to 5 minutes, so the
   * default, 400, outlasts an outage of more than a day.
   */
  maxUnsentAttempts?: number | undefined;
  /**
   * After 401, 403 or 429 nothing of the account is sent for this long, then one payout tries; doubles up to 16 times
   * with every failure. Retry-After is honoured. Default 60000.
   */
  pauseMs?: number | undefined;
  /**
   * After the database went back (a promoted standby, a restored backup): for so long new payouts are asked about before they
   * are sent, since their order may have been sent by a payout that was lost. Longer than the clocks of the database's servers
   * are apart. Default 24 h.
   */
  askFirstAfterRestoreMs?: number | undefined;
  worker?: WorkerOptions | undefined;
}

/** The options with every default filled in. */
export type ResolvedOptions = Required<Omit<AliKassaOptions, OptionsWithoutDefault | 'worker'>> &
  Pick<AliKassaOptions, OptionsWithoutDefault> & {
    worker: Required<WorkerOptions>;
    /** Name of the module's instance that has these options: what it reads and writes is its own rows. */
    instance: string;
  };
type OptionsWithoutDefault = 'ca' | 'proxy' | 'notificationUrl' | 'passphrase' | 'recipientRetentionDays';

/** The instance that is given no name. */
export const DEFAULT_INSTANCE = 'default';
export const DEFAULT_BASE_URL = 'https://api-merchant.alikassa.com';
export const DEFAULT_CHECK_SCHEDULE: readonly number[] = [10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];
/** Together a week. */
export const DEFAULT_FOLLOW_UP_SCHEDULE: readonly number[] = [
  3_600_000, 21_600_000, 86_400_000, 172_800_000, 345_600_000,
];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** What a timer of Node's can count; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** Ten years: sixteen times as much is still a date, here and in Postgres. */
const MAX_DURATION_MS = 315_360_000_000;
/** More is "without end". */
const MAX_COUNT = 1_000_000_000;
/** Each job at once has a connection; what the server gives is looked at when the worker starts. */
const MAX_CONCURRENCY = 10_000;
/** What a lease has beside the call: for claim and result, on a busy machine too. */
const MIN_SPARE_MS = 500;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Checks what can be checked without a key or a network, and fills in the defaults.
 * @param instance name of the module's instance.
 * @throws ConfigurationError one clear sentence about the first fault.
 */
export function resolveOptions(options: AliKassaOptions, instance = DEFAULT_INSTANCE): ResolvedOptions {
  const timeoutMs = whole('timeoutMs', options.timeoutMs ?? 30_000, MAX_TIMER_MS);
  const leaseMs = whole('leaseMs', options.leaseMs ?? timeoutMs + 30_000);
  if (leaseMs < timeoutMs + MIN_SPARE_MS) {
    throw new ConfigurationError(
      'leaseMs',
      `must be longer than timeoutMs (${timeoutMs}) by ${MIN_SPARE_MS} at least: claim, call and answer have to fit into it`,
    );
  }
  return {
    ...options,
    instance: checkedInstance(instance),
    accounts: checkedAccounts(options.accounts),
    digest: checkedDigest(options.digest),
    baseUrl: checkedBaseUrl(options.baseUrl ?? DEFAULT_BASE_URL),
    ca: checkedCa(options.ca),
    proxy: checkedProxy(options.proxy),
    encryptionKeys: checkedKeys(options.encryptionKeys),
    recipientRetentionDays: checkedRetention(options.recipientRetentionDays),
    notificationUrl: checkedNotificationUrl(options.notificationUrl),
    confirmNotifications: checkedFlag('confirmNotifications', options.confirmNotifications),
    timeoutMs,
    leaseMs,
    checkSchedule: checkedSchedule('checkSchedule', options.checkSchedule ?? [...DEFAULT_CHECK_SCHEDULE], 1),
    followUpSchedule: checkedSchedule(
      'followUpSchedule',
      options.followUpSchedule ?? [...DEFAULT_FOLLOW_UP_SCHEDULE],
      0,
    ),
    attentionAfterMs: whole('attentionAfterMs', options.attentionAfterMs ?? 86_400_000),
    rejectAfterNotFound: whole('rejectAfterNotFound', options.rejectAfterNotFound ?? 2, MAX_COUNT),
    rejectAfterMs: whole('rejectAfterMs', options.rejectAfterMs ?? 120_000),
    onNotFound: checkedOnNotFound(options.onNotFound),
    maxUnsentAttempts: whole('maxUnsentAttempts', options.maxUnsentAttempts ?? 400, MAX_COUNT),
    maxResubmissions: whole('maxResubmissions', options.maxResubmissions ?? 5, MAX_COUNT),
    pauseMs: whole('pauseMs', options.pauseMs ?? 60_000),
    askFirstAfterRestoreMs: whole('askFirstAfterRestoreMs', options.askFirstAfterRestoreMs ?? 86_400_000),
    worker: {
      enabled: checkedFlag('worker.enabled', options.worker?.enabled, true),
      concurrency: whole('worker.concurrency', options.worker?.concurrency ?? 10, MAX_CONCURRENCY),
      schema: checkedSchema(options.worker?.schema ?? 'alikassa_worker'),
      sweepIntervalMs: whole('worker.sweepIntervalMs', options.worker?.sweepIntervalMs ?? 5_000, MAX_TIMER_MS, 50),
      handlerTimeoutMs: whole('worker.handlerTimeoutMs', options.worker?.handlerTimeoutMs ?? 30_000, MAX_TIMER_MS),
    },
  };
}

/** It stands in rows, names of jobs and attributes of metrics. */
function checkedInstance(name: string): string {
  if (typeof name === 'string' && /^[a-z0-9_-]{1,32}$/.test(name)) return name;
  throw new ConfigurationError('name', 'an instance is named by 1 to 32 of a-z, 0-9, "_" and "-"');
}

/** Anything but a boolean could mean its opposite: the text "false" is true. */
function checkedFlag(setting: string, value: boolean | undefined, otherwise = false): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? otherwise;
  throw new ConfigurationError(setting, 'must be true or false');
}

function whole(setting: string, value: number, max = MAX_DURATION_MS, min = 1): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new ConfigurationError(setting, `must be a whole number from ${min} to ${max}`);
}

function checkedSchedule(setting: string, schedule: number[], least: number): number[] {
  if (!Array.isArray(schedule) || schedule.length < least) {
    throw new ConfigurationError(
      setting,
      least > 0 ? 'must be a list with at least one pause' : 'must be a list of pauses',
    );
  }
  return schedule.map((pause) => whole(setting, pause));
}

function checkedAccounts(accounts: AliKassaAccount[] | undefined): AliKassaAccount[] {
  if (!Array.isArray(accounts) || accounts.length === 0) {
    throw new ConfigurationError('accounts', 'must be a list with at least one account');
  }
  const seen = new Set<string>();
  return accounts.map((account: Partial<AliKassaAccount> | null) => {
    const { uuid = '', currency = '' } = account ?? {};
    if (!UUID.test(uuid)) throw new ConfigurationError('accounts', `"${uuid}" is not a uuid`);
    if (!/^[A-Z]{3}$/.test(currency)) {
      throw new ConfigurationError('accounts', `account ${uuid} needs a currency of three capital letters, e.g. RUB`);
    }
    const key = uuid.toLowerCase();
    if (seen.has(key)) throw new ConfigurationError('accounts', `account ${uuid} is named twice; name it once`);
    seen.add(key);
    return { uuid: key, currency };
  });
}

function checkedDigest(digest: string | undefined): SignatureDigest {
  if (digest === undefined || digest === 'sha1') return 'sha1';
  if (digest === 'sha256') return 'sha256';
  throw new ConfigurationError('digest', 'must be sha1 or sha256');
}

function checkedOnNotFound(choice: AliKassaOptions['onNotFound'] | undefined): 'hold' | 'resubmit' {
  if (choice === undefined || choice === 'hold' || choice === 'resubmit') return choice ?? 'hold';
  throw new ConfigurationError('onNotFound', 'must be hold or resubmit');
}

/** https only, since the body carries card numbers; plain http is for a loopback address. */
function checkedBaseUrl(value: string): string {
  const url = parsedUrl('baseUrl', value);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.has(url.hostname))) {
    throw new ConfigurationError('baseUrl', 'must be https (plain http is accepted for a loopback address only)');
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new ConfigurationError('baseUrl', 'must be an address without credentials, query or fragment');
  }
  return value.replace(/\/+$/, '');
}

/** It holds a password, so no message quotes it. */
function checkedProxy(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = parsedUrl('proxy', value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ConfigurationError('proxy', 'must be http or https, as http://user:password@host:port');
  }
  if (url.pathname !== '/' || url.search || url.hash) {
    throw new ConfigurationError('proxy', 'must be http://user:password@host:port, without path, query or fragment');
  }
  if (url.username.includes('%3A'))
    throw new ConfigurationError('proxy', 'has a colon in its user, which HTTP cannot send');
  if (!isDecodable(url.username) || !isDecodable(url.password)) {
    throw new ConfigurationError('proxy', 'has a % in user or password that stands for nothing; write it as %25');
  }
  return value;
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Node would drop what it cannot read, and every payout would then fail in the handshake. */
function checkedCa(ca: string | Buffer | undefined): string | undefined {
  if (ca === undefined) return undefined;
  const text = ca.toString();
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (!found) throw new ConfigurationError('ca', 'holds no certificate in PEM');
  for (const pem of found) {
    try {
      new X509Certificate(pem);
    } catch {
      throw new ConfigurationError('ca', 'holds a certificate that cannot be read; export it again as PEM');
    }
  }
  return text;
}

function checkedNotificationUrl(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = parsedUrl('notificationUrl', value);
  if (!['http:', 'https:'].includes(url.protocol))
    throw new ConfigurationError('notificationUrl', 'must be http or https');
  if (value.length > 255) throw new ConfigurationError('notificationUrl', 'must be at most 255 characters');
  return value;
}

function parsedUrl(setting: string, value: string): URL {
  if (typeof value !== 'string' || !URL.canParse(value)) throw new ConfigurationError(setting, 'is not a URL');
  return new URL(value);
}

function checkedKeys(keys: EncryptionKey[] | undefined): EncryptionKey[] {
  if (!keys || keys.length === 0) {
    throw new ConfigurationError(
      'encryptionKeys',
      'is missing: give at least one key of 32 bytes (openssl rand -base64 32)',
    );
  }
  const seen = new Set<string>();
  return keys.map(({ id, key }) => {
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(id ?? '')) {
      throw new ConfigurationError('encryptionKeys', 'a key id is 1 to 32 letters, digits, "_" or "-"');
    }
    if (seen.has(id)) throw new ConfigurationError('encryptionKeys', `key id "${id}" is given twice`);
    seen.add(id);
    const given = typeof key === 'string' ? Buffer.from(key, 'base64') : key;
    const bytes = given instanceof Uint8Array ? Buffer.from(given) : Buffer.alloc(0);
    if (bytes.length !== 32) {
      throw new ConfigurationError(
        'encryptionKeys',
        `key "${id}" must be 32 bytes in base64 (openssl rand -base64 32)`,
      );
    }
    return { id, key: bytes };
  });
}

/** A century is more than anybody keeps, and what the database can still count back from today. */
function checkedRetention(days: number | undefined): number | undefined {
  if (days === undefined || (Number.isSafeInteger(days) && days >= 1 && days <= 36_500)) return days;
  throw new ConfigurationError('recipientRetentionDays', 'must be a whole number of days from 1 to 36500');
}

function checkedSchema(schema: string): string {
  if (!/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    throw new ConfigurationError('worker.schema', 'must be a plain lower-case Postgres identifier, not one of pg_');
  }
  return schema;
}
