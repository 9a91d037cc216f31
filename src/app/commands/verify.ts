import {
  constants,
  createPublicKey,
  hash,
  publicDecrypt,
  verify as verifySignature,
  type KeyObject,
} from 'node:crypto';
import { SignatureInvalidError } from '../../alikassa.errors.js';
import { loadPrivateKey, loadPublicKey } from '../../provider/key.loader.js';
import { parseNotificationQuery, signedForms, type SignedQuery } from '../../provider/notification.query.js';
import { phpJsonEncode } from '../../provider/php-json.js';
import { PROVIDER_STATUSES } from '../../provider/provider.types.js';
import { loadConfig, withSettingNames, type AppConfig, type Environment } from '../app.config.js';
import type { CommandInput } from '../command.js';
import { readStandardInput } from '../standard.input.js';
import { StepReport } from '../step.report.js';

const DIGESTS = ['sha1', 'sha256'] as const;
const UNREADABLE =
  'take it from the access log as it arrived: undecoded, every parameter once, and quoted in the shell';

/** Goes the way of a notification up to the database, one line for each step. No value is shown. @returns 1 if it is refused. */
export async function verify(env: Environment, { argument }: CommandInput): Promise<number> {
  const config = loadConfig(env);
  const keys = keysOf(config);
  const report = new StepReport();
  const query = queryOf(argument === '-' ? (await readStandardInput()).toString('utf8') : argument);
  const parsed = readable(report, query);
  if (!parsed || !isSigned(report, parsed, keys)) return 1;
  judgeContent(report, parsed, config);
  return report.hasFault ? 1 : 0;
}

interface Keys {
  notification: KeyObject;
  /** The other half of the payout key. */
  payout: KeyObject;
}

function keysOf({ alikassa, settingNames }: AppConfig): Keys {
  return withSettingNames(settingNames, () => ({
    notification: loadPublicKey(alikassa.notificationPublicKey),
    payout: createPublicKey(loadPrivateKey(alikassa.privateKey, alikassa.passphrase)),
  }));
}

/** A URL ends in it; a form has no question mark. */
function queryOf(text: string): string {
  const line = text.trim();
  return /^(?:https?:\/\/|\/)/.test(line) ? line.slice(line.indexOf('?') + 1) : line;
}

function readable(report: StepReport, query: string): SignedQuery | undefined {
  try {
    const parsed = parseNotificationQuery(query);
    const absent = Object.entries(parsed.fields).filter(([, value]) => value === null);
    const names = absent.map(([name]) => name).join(', ');
    report.ok('form', `every required parameter, each once${names ? `; absent: ${names}` : ''}`);
    return parsed;
  } catch (error) {
    if (!(error instanceof SignatureInvalidError)) throw error;
    report.fail('form', `${error.message} Answered with 400; ${UNREADABLE}.`);
    return undefined;
  }
}

function isSigned(report: StepReport, { fields, signature }: SignedQuery, { notification, payout }: Keys): boolean {
  const length = Math.ceil((notification.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  if (signature.length !== length) {
    report.fail(
      'length',
      `sign has ${signature.length} bytes, the key's signatures have ${length}: it was cut, or is another key's`,
    );
    return false;
  }
  report.ok('length', `sign has ${length} bytes, as the key's signatures have`);
  const texts = signedForms(fields).map((form) => Buffer.from(phpJsonEncode(form)));
  const isOf = (key: KeyObject): boolean =>
    texts.some((text) => DIGESTS.some((digest) => verifySignature(digest, text, key, signature) === true));
  const digest = digestIn(signature, notification);
  if (!digest) {
    const whose = isOf(payout)
      ? 'it is made by your own payout key'
      : 'another key made it, or it was damaged on the way; download public.pem of the certificate for notifications again';
    report.fail('key', `sign is not of ALIKASSA_NOTIFICATION_PUBLIC_KEY: ${whose}. Answered with 403`);
    return false;
  }
  report.ok('key', `sign is of ALIKASSA_NOTIFICATION_PUBLIC_KEY, over ${digest}`);
  if (!isOf(notification)) {
    report.fail(
      'signature',
      'sign belongs to other content: a parameter was changed, left out, added or decoded twice after it was signed. Answered with 403',
    );
    return false;
  }
  const isOlder = !DIGESTS.some((one) => verifySignature(one, texts[0] ?? Buffer.alloc(0), notification, signature));
  report.ok(
    'signature',
    `sign belongs to the content${isOlder ? ', by the older document (without commission_amount)' : ''}`,
  );
  return true;
}

/** Which digest a signature under this key holds, whatever its content; undefined if it is none of this key. */
function digestIn(signature: Buffer, key: KeyObject): (typeof DIGESTS)[number] | undefined {
  try {
    const info = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature);
    // DigestInfo ends in the digest; the two have other lengths before it too.
    return DIGESTS.find((digest) => info.length === PREFIX_BYTES[digest] + hash(digest, '', 'buffer').length);
  } catch {
    return undefined;
  }
}

/** Of the DigestInfo before the digest (RFC 8017, section 9.2). */
const PREFIX_BYTES = { sha1: 15, sha256: 19 } as const;

function judgeContent(report: StepReport, { fields }: SignedQuery, { alikassa }: AppConfig): void {
  if (fields.type === 'payout') report.ok('type', 'it is of a payout');
  else report.warn('type', 'it is not of a payout: taken with 200, and nothing is changed');
  if (alikassa.accounts.some(({ uuid }) => uuid.toLowerCase() === fields.account.toLowerCase())) {
    report.ok('account', 'it is one of ALIKASSA_ACCOUNTS');
  } else {
    report.warn('account', 'it is none of ALIKASSA_ACCOUNTS: taken with 200, and nothing is changed');
  }
  if (PROVIDER_STATUSES.some((status) => status === fields.payment_status)) report.ok('status', 'it is a known one');
  else report.warn('status', `it is none of ${PROVIDER_STATUSES.join(', ')}: taken with 200, and nothing is changed`);
}
