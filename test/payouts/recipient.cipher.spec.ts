import { randomBytes } from 'node:crypto';
import { RecipientUnreadableError } from '../../src/alikassa.errors.js';
import { RecipientCipher } from '../../src/payouts/recipient.cipher.js';

const TEXT = '{"number":"4111111111111111"}';
const old = { id: 'old', key: randomBytes(32) };
const fresh = { id: 'fresh', key: randomBytes(32) };
const cipher = new RecipientCipher([old]);

describe('RecipientCipher', () => {
  it('opens what it has sealed', () => {
    expect(cipher.open('row-1', cipher.seal('row-1', TEXT))).toBe(TEXT);
  });

  it('never gives the same ciphertext twice', () => {
    expect(cipher.seal('row-1', TEXT).ciphertext).not.toEqual(cipher.seal('row-1', TEXT).ciphertext);
  });

  it("refuses another row's ciphertext", () => {
    expect(() => cipher.open('row-2', cipher.seal('row-1', TEXT))).toThrow(RecipientUnreadableError);
  });

  it('refuses a flipped bit, wherever it is', () => {
    const sealed = cipher.seal('row-1', TEXT);
    for (let i = 0; i < sealed.ciphertext.length; i++) {
      const flipped = Buffer.from(sealed.ciphertext);
      flipped[i]! ^= 1;
      expect(() => cipher.open('row-1', { ...sealed, ciphertext: flipped })).toThrow(RecipientUnreadableError);
    }
  });

  it('refuses a ciphertext that was cut short', () => {
    const sealed = cipher.seal('row-1', TEXT);
    for (const length of [0, 12, 27, sealed.ciphertext.length - 1]) {
      const cut = sealed.ciphertext.subarray(0, length);
      expect(() => cipher.open('row-1', { ...sealed, ciphertext: cut })).toThrow(RecipientUnreadableError);
    }
  });

  it('reads under a retired key and writes under the active one', () => {
    const rotated = new RecipientCipher([fresh, old]);
    expect(rotated.open('row-1', cipher.seal('row-1', TEXT))).toBe(TEXT);
    expect(rotated.seal('row-1', TEXT).keyId).toBe('fresh');
  });

  it('says which key is missing', () => {
    const sealed = new RecipientCipher([fresh]).seal('row-1', TEXT);
    expect(() => cipher.open('row-1', sealed)).toThrow(/"fresh" is not in the ring/);
  });

  it('gives one fingerprint per text and key', () => {
    expect(cipher.fingerprint('4111')).toEqual(cipher.fingerprint('4111'));
    expect(cipher.fingerprint('4111')).not.toEqual(cipher.fingerprint('4112'));
    const rotated = new RecipientCipher([fresh, old]);
    expect(rotated.fingerprint('4111')).not.toEqual(cipher.fingerprint('4111'));
    expect(rotated.fingerprint('4111', 'old')).toEqual(cipher.fingerprint('4111'));
  });
});
