import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { generateTestKeys } from '../../src/testing/index.js';

describe('test keys', () => {
  it('are 2048-bit RSA pairs, and the payout key opens only with its passphrase', async () => {
    const { payout, notification } = await generateTestKeys();
    expect(payout.privateKey.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----')).toBe(true);
    // One wrong passphrase in 256 gives bytes that end like a padding: then they are no key.
    expect(() => createPrivateKey({ key: payout.privateKey, passphrase: 'wrong' })).toThrow(/decrypt|bad|unsupported/i);
    const pairs = [
      [createPrivateKey({ key: payout.privateKey, passphrase: payout.passphrase }), payout.publicKey] as const,
      [createPrivateKey(notification.privateKey), notification.publicKey] as const,
    ];
    for (const [privateKey, publicKey] of pairs) {
      const text = Buffer.from('text');
      expect(createPublicKey(publicKey).asymmetricKeyDetails?.modulusLength).toBe(2048);
      expect(verify('sha1', text, publicKey, sign('sha1', text, privateKey))).toBe(true);
    }
    expect(payout.publicKey === notification.publicKey).toBe(false);
  });
});
