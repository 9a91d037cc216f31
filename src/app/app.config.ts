import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { LogLevel } from '@nestjs/common';
import { ConfigurationError } from '../alikassa.errors.js';
import { resolveOptions, type AliKassaOptions } from '../alikassa.options.js';
import {
  checkedDatabaseUrl,
  parseAccounts,
  parseApiTokens,
  parseDurations,
  parseEncryptionKeys,
  parseNumber,
  type ApiToken,
} from './config.values.js';
import { readKeyFile, type KeyFileKind } from './key.file.js';

/** Environment variables by name; an empty one counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** All that the reference application is told. */
export interface AppConfig {
  port: number;
  /** Address to listen on; without it, every one. */
  host?: string;
  databaseUrl: string;
  tokens: ApiToken[];
  logLevel: LogLevel;
  logFormat: LogFormat;
  alikassa: AliKassaOptions;
  /** Where each option came from, so that a fault is reported under the name that the operator wrote. */
  settingNames: Readonly<Record<string, string>>;
}

export type LogFormat = 'text' | 'json';

const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'];
const SCHEDULE = 'ALIKASSA_CHECK_SCHEDULE';

/** The variables of the process, over those of the file `.env` in the folder. */
export function readEnvironment(folder = process.cwd()): Environment {
  let file = '';
  try {
    file = readFileSync(resolve(folder, '.env'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigurationError('.env', `cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return { ...parseEnv(file), ...process.env };
}

/**
 * Reads the configuration of the reference application; `.env.example` documents every name.
 * @throws ConfigurationError one clear sentence about the first fault; `setting` is the variable's name.
 */
export function loadConfig(env: Environment): AppConfig {
  const read = (name: string): string | undefined => (env[name]?.trim() ? env[name] : undefined);
  const need = (name: string, what: string): string => {
    const value = read(name);
    if (value === undefined) throw new ConfigurationError(name, `is missing; ${what}`);
    return value.trim();
  };
  const number = (name: string): number | undefined => {
    const value = read(name)?.trim();
    return value === undefined ? undefined : parseNumber(name, value, 1);
  };

  const accounts = parseAccounts('ALIKASSA_ACCOUNTS', need('ALIKASSA_ACCOUNTS', 'give EUR:uuid,RUB:uuid'));
  const databaseUrl = checkedDatabaseUrl(
    'DATABASE_URL',
    need('DATABASE_URL', 'give postgres://user:password@host:5432/database'),
  );
  const privateKey = fileOrInline(read, 'ALIKASSA_PRIVATE_KEY', 'secret');
  const passphrase = fileOrInline(read, 'ALIKASSA_PRIVATE_KEY_PASSWORD', 'secret');
  const notificationKey = fileOrInline(read, 'ALIKASSA_NOTIFICATION_PUBLIC_KEY', 'public');
  const ca = fileOrInline(read, 'ALIKASSA_CA', 'public');
  const schedule = read(SCHEDULE);
  const settingNames = {
    ...SETTING_NAMES,
    privateKey: privateKey.name,
    passphrase: passphrase.name,
    notificationPublicKey: notificationKey.name,
    ca: ca.name,
  };
  const alikassa: AliKassaOptions = {
    accounts,
    privateKey: pemOf(required(privateKey, 'private.pem of the payout certificate')),
    passphrase: passphrase.value,
    notificationPublicKey: pemOf(required(notificationKey, 'public.pem of the certificate for notifications')),
    digest: digestOf(read('ALIKASSA_SIGNATURE_DIGEST')),
    baseUrl: read('ALIKASSA_BASE_URL')?.trim(),
    proxy: read('ALIKASSA_PROXY')?.trim(),
    ca: ca.value === undefined ? undefined : pemOf(ca.value),
    encryptionKeys: parseEncryptionKeys(
      'ALIKASSA_ENCRYPTION_KEYS',
      need('ALIKASSA_ENCRYPTION_KEYS', 'give id:base64 with a key of 32 bytes (openssl rand -base64 32)'),
    ),
    recipientRetentionDays: number('ALIKASSA_RECIPIENT_RETENTION_DAYS'),
    notificationUrl: read('ALIKASSA_NOTIFICATION_URL')?.trim(),
    confirmNotifications: flagOf('ALIKASSA_CONFIRM_NOTIFICATIONS', read('ALIKASSA_CONFIRM_NOTIFICATIONS')),
    timeoutMs: number('ALIKASSA_TIMEOUT_MS'),
    leaseMs: number('ALIKASSA_LEASE_MS'),
    checkSchedule: schedule === undefined ? undefined : parseDurations(SCHEDULE, schedule),
    onNotFound: read('ALIKASSA_ON_NOT_FOUND')?.trim() as AliKassaOptions['onNotFound'],
    pauseMs: number('ALIKASSA_PAUSE_MS'),
    rejectAfterMs: number('ALIKASSA_REJECT_AFTER_MS'),
    askFirstAfterRestoreMs: number('ALIKASSA_ASK_FIRST_AFTER_RESTORE_MS'),
    worker: {
      concurrency: number('ALIKASSA_CONCURRENCY'),
      enabled: flagOf('ALIKASSA_WORKER_ENABLED', read('ALIKASSA_WORKER_ENABLED'), true),
    },
  };
  withSettingNames(settingNames, () => resolveOptions(alikassa));
  return {
    port: parseNumber('PORT', read('PORT')?.trim() ?? '3000', 0, 65_535),
    databaseUrl,
    tokens: parseApiTokens(
      'ALIKASSA_API_TOKENS',
      need('ALIKASSA_API_TOKENS', 'give name:scope+scope:sha256-hex of at least one token'),
    ),
    logLevel: parseLogLevel(read('LOG_LEVEL')),
    logFormat: logFormatOf(read('LOG_FORMAT')),
    alikassa,
    settingNames,
  };
}

/** Runs `work`; a ConfigurationError leaves it under the name that the operator knows. */
export function withSettingNames<T>(names: Readonly<Record<string, string>>, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ConfigurationError) || names[error.setting] === undefined) throw error;
    throw new ConfigurationError(names[error.setting] ?? error.setting, error.message.slice(error.setting.length + 2));
  }
}

/** `LOG_LEVEL`, default `log`. @throws ConfigurationError */
export function parseLogLevel(text: string | undefined): LogLevel {
  const level = LOG_LEVELS.find((known) => known === (text ?? 'log').trim().toLowerCase());
  if (level) return level;
  throw new ConfigurationError('LOG_LEVEL', `must be one of ${LOG_LEVELS.join(', ')}`);
}

const SETTING_NAMES: Readonly<Record<string, string>> = {
  accounts: 'ALIKASSA_ACCOUNTS',
  digest: 'ALIKASSA_SIGNATURE_DIGEST',
  baseUrl: 'ALIKASSA_BASE_URL',
  proxy: 'ALIKASSA_PROXY',
  encryptionKeys: 'ALIKASSA_ENCRYPTION_KEYS',
  recipientRetentionDays: 'ALIKASSA_RECIPIENT_RETENTION_DAYS',
  notificationUrl: 'ALIKASSA_NOTIFICATION_URL',
  confirmNotifications: 'ALIKASSA_CONFIRM_NOTIFICATIONS',
  timeoutMs: 'ALIKASSA_TIMEOUT_MS',
  leaseMs: 'ALIKASSA_LEASE_MS',
  checkSchedule: SCHEDULE,
  onNotFound: 'ALIKASSA_ON_NOT_FOUND',
  pauseMs: 'ALIKASSA_PAUSE_MS',
  rejectAfterMs: 'ALIKASSA_REJECT_AFTER_MS',
  askFirstAfterRestoreMs: 'ALIKASSA_ASK_FIRST_AFTER_RESTORE_MS',
  'worker.concurrency': 'ALIKASSA_CONCURRENCY',
};

interface Given {
  /** The variable, with its file if it names one. */
  name: string;
  value?: string;
}

/** `NAME_PATH` names a file, `NAME` holds the value itself. A passphrase may end in a space, so nothing is trimmed. */
function fileOrInline(read: (name: string) => string | undefined, name: string, kind: KeyFileKind): Given {
  const pathName = `${name}_PATH`;
  const path = read(pathName)?.trim();
  const value = read(name);
  if (path === undefined) return { name: value === undefined ? pathName : name, value };
  if (value !== undefined) throw new ConfigurationError(pathName, `is set, and ${name} too; set one of them`);
  return { name: `${pathName} (${path})`, value: readKeyFile(pathName, path, kind) };
}

function required({ name, value }: Given, what: string): string {
  if (value === undefined) throw new ConfigurationError(name, `is missing; give the path of ${what}`);
  return value;
}

/** Many env files cannot hold a line break, so `\n` is accepted for one. */
function pemOf(text: string): string {
  return text.trim().includes('\n') ? text : text.replaceAll('\\n', '\n');
}

function logFormatOf(text: string | undefined): LogFormat {
  const format = text?.trim().toLowerCase() ?? 'text';
  if (format === 'text' || format === 'json') return format;
  throw new ConfigurationError('LOG_FORMAT', 'must be text or json');
}

function digestOf(text: string | undefined): AliKassaOptions['digest'] {
  const digest = text?.trim().toLowerCase();
  if (digest === undefined || digest === 'sha1' || digest === 'sha256') return digest;
  throw new ConfigurationError('ALIKASSA_SIGNATURE_DIGEST', 'must be sha1 or sha256');
}

function flagOf(setting: string, text: string | undefined, usual = false): boolean {
  const flag = text?.trim().toLowerCase();
  if (flag === undefined) return usual;
  if (flag === 'true' || flag === 'false') return flag === 'true';
  throw new ConfigurationError(setting, 'must be true or false');
}
