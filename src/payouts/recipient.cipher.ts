import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { RecipientUnreadableError } from '../alikassa.errors.js';
import type { EncryptionKey } from '../alikassa.options.js';

const IV_BYTES = 12;
const TAG_BYTES = 16;

interface RingKey {
  id: string;
  encryption: Buffer;
  fingerprint: Buffer;
  check: Buffer;
}

export interface Sealed {
  keyId: string;
  /** IV (12 bytes), tag (16 bytes), ciphertext. */
  ciphertext: Buffer;
}

/**
 * Keeps recipients' data unreadable at rest: AES-256-GCM under a ring of keys, the row's id as associated data, so that
 * a ciphertext moved to another row does not open. Fingerprints are HMAC-SHA-256 under a key of their own, since a plain
 * hash of a card number can be searched through.
 */
export class RecipientCipher {
  private readonly active: RingKey;
  private readonly ring: ReadonlyMap<string, RingKey>;

  /** @param keys 32 bytes each; the first one is active, the others only read. */
  constructor(keys: readonly EncryptionKey[]) {
    const derived = keys.map(({ id, key }) => {
      const secret = typeof key === 'string' ? Buffer.from(key, 'base64') : key;
      return {
        id,
        encryption: derive(secret, 'recipient'),
        fingerprint: derive(secret, 'fingerprint'),
        check: derive(secret, 'check'),
      };
    });
    const [active] = derived;
    if (!active) throw new RangeError('the ring holds no key');
    this.active = active;
    this.ring = new Map(derived.map((key) => [key.id, key]));
  }

  get activeKeyId(): string {
    return this.active.id;
  }

  get keyIds(): string[] {
    return [...this.ring.keys()];
  }

  seal(rowId: string, text: string): Sealed {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.active.encryption, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(rowId));
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return { keyId: this.active.id, ciphertext: Buffer.concat([iv, cipher.getAuthTag(), body]) };
  }

  /** @throws RecipientUnreadableError if the key is not in the ring or the ciphertext is not this row's, unchanged. */
  open(rowId: string, sealed: Sealed): string {
    const key = this.keyOf(sealed.keyId, `Payout ${rowId}: `);
    if (sealed.ciphertext.length < IV_BYTES + TAG_BYTES) {
      throw new RecipientUnreadableError(`Payout ${rowId}: its recipient data is cut short; restore the row.`);
    }
    const iv = sealed.ciphertext.subarray(0, IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key.encryption, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(rowId));
    decipher.setAuthTag(sealed.ciphertext.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    try {
      const body = decipher.update(sealed.ciphertext.subarray(IV_BYTES + TAG_BYTES));
      return Buffer.concat([body, decipher.final()]).toString('utf8');
    } catch {
      // OpenSSL's error says no more than that, so it is replaced by one that names the row.
      throw new RecipientUnreadableError(
        `Payout ${rowId}: its recipient data was changed or belongs to another row or key; restore the row.`,
      );
    }
  }

  /** @param keyId the ring key to use; the active one unless given. */
  fingerprint(text: string, keyId = this.active.id): Buffer {
    return createHmac('sha256', this.keyOf(keyId).fingerprint).update(text, 'utf8').digest();
  }

  /** Tells the key's bytes from others, and nothing else about them. */
  checkValue(keyId: string): Buffer {
    return this.keyOf(keyId).check;
  }

  private keyOf(keyId: string, where = 'Recipient data: '): RingKey {
    const key = this.ring.get(keyId);
    if (!key) {
      throw new RecipientUnreadableError(
        `${where}encryption key "${keyId}" is not in the ring; add it to the encryption keys.`,
      );
    }
    return key;
  }
}

function derive(secret: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `nestjs-alikassa/${purpose}`, 32));
}
