import { createPublicKey } from 'node:crypto';
import { ConfigurationError } from '../../alikassa.errors.js';
import { resolveOptions, type ResolvedOptions } from '../../alikassa.options.js';
import { loadPrivateKey, loadPublicKey } from '../../provider/key.loader.js';
import { AliKassaClient } from '../../provider/provider.client.js';
import type { BalanceAnswer, ProviderOutcome } from '../../provider/provider.types.js';
import { SignatureProvider } from '../../provider/signature.provider.js';
import { loadConfig, withSettingNames, type AppConfig, type Environment } from '../app.config.js';
import { StepReport } from '../step.report.js';
import { examineDatabase } from './doctor.database.js';
import { examineNotifications } from './doctor.notifications.js';

/** What to do about each way in which the provider did not answer a balance call. */
const MENDS: Readonly<Record<Exclude<ProviderOutcome<BalanceAnswer>['kind'], 'ok'>, string>> = {
  refused: 'it refused the question; check the uuid in ALIKASSA_ACCOUNTS',
  not_found: 'it does not know the account; check the uuid in ALIKASSA_ACCOUNTS',
  unauthorized:
    "it refused account or signature; check ALIKASSA_ACCOUNTS, that the private key is this merchant's, and ALIKASSA_SIGNATURE_DIGEST",
  rate_limited: 'it asks to slow down; run doctor again in a minute',
  never_sent: 'it cannot be reached; check ALIKASSA_BASE_URL, ALIKASSA_PROXY, name look-up, firewall and certificate',
  unclear: 'its answer was not usable; run doctor again, then ask its support',
};

/** Checks all that a payout needs, one line each; a fault says how to mend it. @returns 1 if there is one. */
export async function doctor(env: Environment): Promise<number> {
  const report = new StepReport();
  const config = await report.checked('configuration', () => loadConfig(env), describe);
  if (!config) return 1;
  const options = resolveOptions(config.alikassa);
  const signature = await report.checked(
    'keys',
    () => withSettingNames(config.settingNames, () => checkedKeys(config)),
    () =>
      `the private key decrypts, signs and verifies (${config.alikassa.digest ?? 'sha1'}); the notification key is RSA`,
  );
  await examineDatabase(report, config.databaseUrl, options);
  await examineNotifications(report, options);
  await examineProvider(report, signature, options);
  return report.hasFault ? 1 : 0;
}

function describe({ alikassa, tokens, port }: AppConfig): string {
  const accounts = alikassa.accounts.map(({ currency }) => currency).join(', ');
  return `accounts ${accounts}; ${tokens.length} API token(s); port ${port}`;
}

/** Payouts and notifications have downloads of their own, with a `public.pem` each. */
function checkedKeys({ alikassa }: AppConfig): SignatureProvider {
  const signature = new SignatureProvider(alikassa);
  const payoutKey = createPublicKey(loadPrivateKey(alikassa.privateKey, alikassa.passphrase));
  if (payoutKey.equals(loadPublicKey(alikassa.notificationPublicKey))) {
    throw new ConfigurationError(
      'notificationPublicKey',
      'is the public.pem of the payout certificate; give the one of the certificate for notifications',
    );
  }
  return signature;
}

async function examineProvider(
  report: StepReport,
  signature: SignatureProvider | undefined,
  options: ResolvedOptions,
): Promise<void> {
  const client = signature && new AliKassaClient(signature, options);
  for (const { uuid, currency } of options.accounts) {
    const name = `provider ${currency}`;
    if (!client) {
      report.fail(name, 'not checked: mend the keys first');
      continue;
    }
    const outcome = await client.balance(uuid);
    if (outcome.kind !== 'ok') {
      report.fail(name, `${options.baseUrl}: ${MENDS[outcome.kind]} (${outcome.reason})`);
    } else if (outcome.value.currency !== currency) {
      report.fail(name, `the account is in ${outcome.value.currency}; mend its currency in ALIKASSA_ACCOUNTS`);
    } else {
      report.ok(name, `balance ${outcome.value.balance} ${currency}, answered in ${Math.round(outcome.durationMs)} ms`);
    }
  }
}
