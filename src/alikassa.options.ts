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
  /** Jobs run at once by this process. Default 10. */
  concurrency?: number | undefined;
  /** Postgres schema that graphile-worker keeps its jobs in. Default `alikassa_worker`. */
  schema?: string | undefined;
  /** Milliseconds between two sweeps. Default 5000. */
  sweepIntervalMs?: number | undefined;
  /**
   * Milliseconds that one call of a handler (`@OnPayoutStatus`) may take; one that takes longer counts as failed, and is
   * repeated with back-off while it goes on. Default 30000.
   */
  handlerTimeoutMs?: number | undefined;
}

/** What the host tells the module. Times are milliseconds. */
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
  /** Total time for one call to the provider. Default 30000. */
  timeoutMs?: number | undefined;
  /** How long a sending attempt may hold its payout; longer than `timeoutMs`. Default `timeoutMs` + 30000. */
  leaseMs?: number | undefined;
  /** Pauses between status calls; the last one repeats. Default 10s, 30s, 1m, 5m, 15m, 1h. */
  checkSchedule?: number[] | undefined;
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
  worker?: WorkerOptions | undefined;
}

/** The options with every default filled in. */
export type ResolvedOptions = Required<Omit<AliKassaOptions, OptionsWithoutDefault | 'worker'>> &
  Pick<AliKassaOptions, OptionsWithoutDefault> & {
    worker: Required<WorkerOptions>;
    /** Name of the module's instance that has these options: what it reads and writes is its own rows. */
    instance: string;
  };
type OptionsWithoutDefault = 'ca' | 'notificationUrl' | 'passphrase' | 'recipientRetentionDays';

/** The instance that is given no name. */
export const DEFAULT_INSTANCE = 'default';
export const DEFAULT_BASE_URL = 'https://api-merchant.alikassa.com';
export const DEFAULT_CHECK_SCHEDULE: readonly number[] = [10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Checks what can be checked without a key or a network, and fills in the defaults.
 * @param instance name of the module's instance.
 * @throws ConfigurationError one clear sentence about the first fault.
 */
export function resolveOptions(options: AliKassaOptions, instance = DEFAULT_INSTANCE): ResolvedOptions {
  const timeoutMs = positive('timeoutMs', options.timeoutMs ?? 30_000);
  const leaseMs = positive('leaseMs', options.leaseMs ?? timeoutMs + 30_000);
  if (leaseMs <= timeoutMs) {
    throw new ConfigurationError(
      'leaseMs',
      `must be longer than timeoutMs (${timeoutMs}), or a call could outlive its lease`,
    );
  }
  const checkSchedule = options.checkSchedule ?? [...DEFAULT_CHECK_SCHEDULE];
  if (checkSchedule.length === 0) throw new ConfigurationError('checkSchedule', 'must name at least one pause');
  checkSchedule.forEach((pause) => positive('checkSchedule', pause));
  return {
    ...options,
    instance: checkedInstance(instance),
    accounts: checkedAccounts(options.accounts),
    digest: checkedDigest(options.digest),
    baseUrl: checkedBaseUrl(options.baseUrl ?? DEFAULT_BASE_URL),
    ca: checkedCa(options.ca),
    encryptionKeys: checkedKeys(options.encryptionKeys),
    recipientRetentionDays: checkedRetention(options.recipientRetentionDays),
    notificationUrl: checkedNotificationUrl(options.notificationUrl),
    confirmNotifications: checkedFlag('confirmNotifications', options.confirmNotifications),
    timeoutMs,
    leaseMs,
    checkSchedule,
    attentionAfterMs: positive('attentionAfterMs', options.attentionAfterMs ?? 86_400_000),
    rejectAfterNotFound: positive('rejectAfterNotFound', options.rejectAfterNotFound ?? 2),
    rejectAfterMs: positive('rejectAfterMs', options.rejectAfterMs ?? 120_000),
    onNotFound: checkedOnNotFound(options.onNotFound),
    maxUnsentAttempts: positive('maxUnsentAttempts', options.maxUnsentAttempts ?? 400),
    maxResubmissions: positive('maxResubmissions', options.maxResubmissions ?? 5),
    pauseMs: positive('pauseMs', options.pauseMs ?? 60_000),
    worker: {
      enabled: options.worker?.enabled ?? true,
      concurrency: positive('worker.concurrency', options.worker?.concurrency ?? 10),
      schema: checkedSchema(options.worker?.schema ?? 'alikassa_worker'),
      sweepIntervalMs: positive('worker.sweepIntervalMs', options.worker?.sweepIntervalMs ?? 5_000),
      handlerTimeoutMs: checkedTimer('worker.handlerTimeoutMs', options.worker?.handlerTimeoutMs ?? 30_000),
    },
  };
}

/** It stands in rows, names of jobs and attributes of metrics. */
function checkedInstance(name: string): string {
  if (typeof name === 'string' && /^[a-z0-9_-]{1,32}$/.test(name)) return name;
  throw new ConfigurationError('name', 'an instance is named by 1 to 32 of a-z, 0-9, "_" and "-"');
}

/** Anything but a boolean could mean its opposite: the text "false" is true. */
function checkedFlag(setting: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new ConfigurationError(setting, 'must be true or false');
}

function positive(setting: string, value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw new ConfigurationError(setting, 'must be a whole number above 0');
  }
  return value;
}

/** Node's timers end at once where they are to last for longer. */
function checkedTimer(setting: string, value: number): number {
  if (positive(setting, value) < 2 ** 31) return value;
  throw new ConfigurationError(setting, 'must be less than 2147483648 milliseconds, which is 24 days');
}

function checkedAccounts(accounts: AliKassaAccount[] | undefined): AliKassaAccount[] {
  if (!accounts || accounts.length === 0) throw new ConfigurationError('accounts', 'must name at least one account');
  const seen = new Set<string>();
  return accounts.map(({ uuid, currency }) => {
    if (!UUID.test(uuid ?? '')) throw new ConfigurationError('accounts', `"${uuid}" is not a uuid`);
    if (!/^[A-Z]{3}$/.test(currency ?? '')) {
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
  if (!URL.canParse(value)) throw new ConfigurationError(setting, 'is not a URL');
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
    const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : Buffer.from(key ?? []);
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
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    throw new ConfigurationError('worker.schema', 'must be a plain lower-case Postgres identifier');
  }
  return schema;
}
