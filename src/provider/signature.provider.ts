import { createHash, createPublicKey, sign as cryptoSign, verify as cryptoVerify, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Injectable } from '@nestjs/common';
import { ConfigurationError, SignatureInvalidError } from '../alikassa.errors.js';
import type { SignatureDigest } from '../alikassa.options.js';
import { loadPrivateKey, loadPublicKey } from './key.loader.js';
import { malformed, parseNotificationQuery, signedForms } from './notification.query.js';
import { phpJsonEncode } from './php-json.js';
import type { NotificationFields } from './provider.types.js';

/** The merchant's key files, as text (PROVIDER.md, "Request signature" and "Notifications"). */
export interface SignatureOptions {
  privateKey: string | Buffer;
  passphrase?: string;
  notificationPublicKey: string | Buffer;
  /** Of request signatures; default `sha1`, as PHP's openssl_sign. */
  digest?: SignatureDigest;
}

const signOnThreadPool = promisify<string, Buffer, KeyObject, Buffer>(cryptoSign);
/** The documents disagree on the digest of notifications, so both count. */
const NOTIFICATION_DIGESTS = ['sha1', 'sha256'] as const;

/** Signs requests, verifies notifications. Keys are read and decrypted once, when it is made. */
@Injectable()
export class SignatureProvider {
  private readonly privateKey: KeyObject;
  private readonly notificationKey: KeyObject;
  private readonly digest: SignatureDigest;

  /** @throws ConfigurationError that names the file or setting which is wrong. */
  constructor({ privateKey, passphrase, notificationPublicKey, digest = 'sha1' }: SignatureOptions) {
    if (digest !== 'sha1' && digest !== 'sha256') throw new ConfigurationError('digest', 'must be sha1 or sha256');
    this.digest = digest;
    this.privateKey = loadPrivateKey(privateKey, passphrase);
    this.notificationKey = loadPublicKey(notificationPublicKey);
    this.testItself();
  }

  /** Tells the payout key from others: SHA-256 of its public half. */
  get keyFingerprint(): string {
    const publicKey = createPublicKey(this.privateKey).export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(publicKey).digest('hex');
  }

  /**
   * RSA, PKCS#1 v1.5, over exactly these bytes, on the thread pool.
   * @returns plain base64, the value of the `Sign` header.
   */
  async sign(body: string | Buffer): Promise<string> {
    return (await signOnThreadPool(this.digest, Buffer.from(body), this.privateKey)).toString('base64');
  }

  /**
   * Reads a notification and checks that the provider made it.
   * @param rawQuery the query string (or form body) as it arrived, undecoded, with or without a leading `?`.
   * @throws SignatureInvalidError `malformed` before any cryptography; `mismatch` if the signature is not its content's.
   */
  verifyNotification(rawQuery: string): NotificationFields {
    const { fields, signature } = parseNotificationQuery(rawQuery);
    const length = Math.ceil((this.notificationKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
    if (signature.length !== length) throw malformed(`sign has ${signature.length} bytes instead of ${length}`);
    for (const form of signedForms(fields)) {
      const text = Buffer.from(phpJsonEncode(form));
      for (const digest of NOTIFICATION_DIGESTS) {
        if (cryptoVerify(digest, text, this.notificationKey, signature) === true) return fields;
      }
    }
    throw mismatch();
  }

  /** A key that cannot sign should stop the start, not the first payout. */
  private testItself(): void {
    const probe = Buffer.from('nestjs-alikassa');
    try {
      const signature = cryptoSign(this.digest, probe, this.privateKey);
      if (cryptoVerify(this.digest, probe, createPublicKey(this.privateKey), signature) === true) return;
    } catch {
      // OpenSSL's own message is about its internals; the sentence below says what to mend.
    }
    throw new ConfigurationError('privateKey', 'does not sign and verify a test text; download private.pem again');
  }
}

function mismatch(): SignatureInvalidError {
  return new SignatureInvalidError('mismatch', "The notification's signature does not belong to its content.");
}
