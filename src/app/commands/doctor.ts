import { HttpService } from '@nestjs/axios';
import { ConfigurationError } from '../../alikassa.errors.js';
import { resolveOptions } from '../../alikassa.options.js';
import { AliKassaClient } from '../../provider/provider.client.js';
import type { BalanceAnswer, ProviderOutcome } from '../../provider/provider.types.js';
import { SignatureProvider } from '../../provider/signature.provider.js';
import { loadConfig, withSettingNames, type AppConfig, type Environment } from '../app.config.js';
import { checkDatabase, checkMigrations } from '../database.js';

type Report = (isGood: boolean, name: string, detail: string) => void;

/** What to do about each way in which the provider did not answer a balance call. */
const MENDS: Readonly<Record<Exclude<ProviderOutcome<BalanceAnswer>['kind'], 'ok'>, string>> = {
  refused: 'it refused the question; check the uuid in ALIKASSA_ACCOUNTS',
  not_found: 'it does not know the account; check the uuid in ALIKASSA_ACCOUNTS',
  unauthorized:
    "it refused account or signature; check ALIKASSA_ACCOUNTS, that the private key is this merchant's, and ALIKASSA_SIGNATURE_DIGEST",
  rate_limited: 'it asks to slow down; run doctor again in a minute',
  never_sent: 'it cannot be reached; check ALIKASSA_BASE_URL, name look-up, firewall and certificate',
  unclear: 'its answer was not usable; run doctor again, then ask its support',
};

/** Checks all that a payout needs, one line each; a fault says how to mend it. @returns 1 if there is one. */
export async function doctor(env: Environment): Promise<number> {
  let hasFault = false;
  const report: Report = (isGood, name, detail) => {
    hasFault ||= !isGood;
    console.log(`${isGood ? 'ok  ' : 'FAIL'}  ${name.padEnd(15)} ${detail}`);
  };
  const config = await checked(report, 'configuration', () => loadConfig(env), describe);
  if (!config) return 1;
  const signature = await checked(
    report,
    'keys',
    () => withSettingNames(config.settingNames, () => new SignatureProvider(config.alikassa)),
    () =>
      `the private key decrypts, signs and verifies (${config.alikassa.digest ?? 'sha1'}); the notification key is RSA`,
  );
  const version = await checked(report, 'database', () => checkDatabase(config.databaseUrl), String);
  const options = resolveOptions(config.alikassa);
  if (version !== undefined) {
    await checked(report, 'migrations', () => checkMigrations(config.databaseUrl, options.worker.schema), String);
  } else {
    report(false, 'migrations', 'not checked: mend the database first');
  }
  const client = signature && new AliKassaClient(new HttpService(), signature, options);
  for (const { uuid, currency } of options.accounts) {
    const name = `provider ${currency}`;
    if (!client) {
      report(false, name, 'not checked: mend the keys first');
      continue;
    }
    const outcome = await client.balance(uuid);
    if (outcome.kind !== 'ok') {
      report(false, name, `${options.baseUrl}: ${MENDS[outcome.kind]} (${outcome.reason})`);
    } else if (outcome.value.currency !== currency) {
      report(false, name, `the account is in ${outcome.value.currency}; mend its currency in ALIKASSA_ACCOUNTS`);
    } else {
      report(
        true,
        name,
        `balance ${outcome.value.balance} ${currency}, answered in ${Math.round(outcome.durationMs)} ms`,
      );
    }
  }
  return hasFault ? 1 : 0;
}

function describe({ alikassa, tokens, port }: AppConfig): string {
  const accounts = alikassa.accounts.map(({ currency }) => currency).join(', ');
  return `accounts ${accounts}; ${tokens.length} API token(s); port ${port}`;
}

/** Reports what `work` gives, or the sentence of the fault that it throws. */
async function checked<T>(
  report: Report,
  name: string,
  work: () => T | Promise<T>,
  detail: (value: T) => string,
): Promise<T | undefined> {
  try {
    const value = await work();
    report(true, name, detail(value));
    return value;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    report(false, name, error.message);
    return undefined;
  }
}
