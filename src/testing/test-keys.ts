import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** Keys as a merchant has them after the downloads, and the provider's halves of them. PEM. */
export interface TestKeys {
  payout: { privateKey: string; passphrase: string; publicKey: string };
  notification: { privateKey: string; publicKey: string };
}

const generate = promisify(generateKeyPair);
const BITS = { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' } } as const;

/** New RSA keys of 2048 bits for a test or a sandbox; the payout key is encrypted, as the provider's download is. */
export async function generateTestKeys(): Promise<TestKeys> {
  const passphrase = randomBytes(12).toString('base64url');
  const [payout, notification] = await Promise.all([
    generate('rsa', {
      ...BITS,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase },
    }),
    generate('rsa', { ...BITS, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }),
  ]);
  return { payout: { ...payout, passphrase }, notification };
}
