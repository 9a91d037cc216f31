import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { ConfigurationError } from '../alikassa.errors.js';

const MIN_BITS = 2048;

/**
 * Reads and decrypts `private.pem`. `password.txt` may end in a line break that is not part of the passphrase, or in a
 * space that is: the exact text is tried first (PROVIDER.md, "Request signature").
 * @throws ConfigurationError that names the setting which is wrong.
 */
export function loadPrivateKey(pem: string | Buffer, passphrase: string | undefined): KeyObject {
  const text = pemText('privateKey', pem, 'private.pem of the payout certificate');
  if (/-----BEGIN (?:RSA )?PUBLIC KEY-----|-----BEGIN CERTIFICATE-----/.test(text)) {
    throw new ConfigurationError('privateKey', 'holds a public key; give private.pem of the payout certificate');
  }
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text);
  if (isEncrypted && !passphrase) {
    throw new ConfigurationError('passphrase', 'is missing, but the private key is encrypted; give password.txt');
  }
  const candidates = isEncrypted && passphrase ? passphrasesFrom(passphrase) : [undefined];
  for (const candidate of candidates) {
    try {
      return checkedRsa('privateKey', createPrivateKey({ key: text, format: 'pem', passphrase: candidate }));
    } catch (error) {
      // OpenSSL's own message is about its internals; the sentence below says what to mend.
      if (error instanceof ConfigurationError) throw error;
    }
  }
  throw isEncrypted
    ? new ConfigurationError('passphrase', 'does not decrypt the private key; give the password.txt that came with it')
    : new ConfigurationError('privateKey', 'cannot be read as a PEM private key; download private.pem again');
}

/**
 * Reads `public.pem` of the certificate for notifications.
 * @throws ConfigurationError
 */
export function loadPublicKey(pem: string | Buffer): KeyObject {
  const setting = 'notificationPublicKey';
  const text = pemText(setting, pem, 'public.pem of the certificate for notifications');
  if (text.includes('PRIVATE KEY-----')) {
    throw new ConfigurationError(setting, 'holds a private key; give public.pem of the certificate for notifications');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    throw new ConfigurationError(setting, 'cannot be read as a PEM public key; download public.pem again');
  }
  return checkedRsa(setting, key);
}

function passphrasesFrom(text: string): string[] {
  const withoutBreak = text.replace(/\r\n$|[\r\n]$/, '');
  return withoutBreak === text ? [text] : [text, withoutBreak];
}

function pemText(setting: string, pem: string | Buffer | undefined, what: string): string {
  const text = pem?.toString() ?? '';
  if (text.trim() === '') throw new ConfigurationError(setting, `is missing; give ${what}`);
  if (!text.includes('-----BEGIN ')) throw new ConfigurationError(setting, `is not PEM text; give ${what}`);
  return text;
}

function checkedRsa(setting: string, key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'rsa') {
    throw new ConfigurationError(setting, `is a key of type ${key.asymmetricKeyType}; the provider's keys are RSA`);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_BITS) throw new ConfigurationError(setting, `has ${bits} bits; at least ${MIN_BITS} are needed`);
  return key;
}
