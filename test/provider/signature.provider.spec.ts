import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateEncrypt,
  verify,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfigurationError, SignatureInvalidError } from '../../src/alikassa.errors.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';

interface KeyFiles {
  private_pem: string;
  public_pem: string;
  password_txt: string;
}
interface Signed {
  key: string;
  body: string;
  sign_default: string;
  sign_sha256: string;
}
interface Notification {
  why: string;
  query: string;
  valid: boolean;
  signed_json?: string;
}
const read = <T>(name: string): T => JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')) as T;
const keys = read<Record<string, KeyFiles>>('keys');
const signatures = read<Signed[]>('signatures');
const notifications = read<{ public_pem: string; private_pem_for_tests: string; vectors: Notification[] }>(
  'notifications',
);
const plain = keys['pkcs8-plain']!;

function provider(key: KeyFiles, digest?: 'sha1' | 'sha256'): SignatureProvider {
  return new SignatureProvider({
    privateKey: key.private_pem,
    passphrase: key.password_txt,
    notificationPublicKey: notifications.public_pem,
    digest,
  });
}

describe('sign', () => {
  describe.each(Object.entries(keys))('with %s', (name, key) => {
    const vectors = signatures.filter((vector) => vector.key === name);

    it('gives the signature that PHP gave, with either digest', async () => {
      const [sha1, sha256] = [provider(key), provider(key, 'sha256')];
      expect(vectors.length).toBeGreaterThan(0);
      for (const { body, sign_default, sign_sha256 } of vectors) {
        expect(await sha1.sign(body)).toBe(sign_default);
        expect(await sha256.sign(Buffer.from(body))).toBe(sign_sha256);
      }
    });

    it('gives a signature that the public key accepts', async () => {
      const sign = Buffer.from(await provider(key).sign('text'), 'base64');
      expect(verify('sha1', Buffer.from('text'), createPublicKey(key.public_pem), sign)).toBe(true);
    });
  });
});

describe('verifyNotification', () => {
  const verifier = provider(plain);

  it.each(notifications.vectors.filter(({ valid }) => valid))('accepts: $why', ({ query, signed_json }) => {
    // Ids beyond 2^53 are compared as text.
    const expected = JSON.parse(signed_json!.replace(/"id":(\d+)/, '"id":"$1"')) as object;
    expect(verifier.verifyNotification(query)).toEqual(expected);
  });

  it.each(notifications.vectors.filter(({ valid }) => !valid))('refuses: $why', ({ query }) => {
    expect(() => verifier.verifyNotification(query)).toThrow(SignatureInvalidError);
  });

  const good = notifications.vectors.find(({ why }) => why === 'status paid')!.query;
  const sign = new URLSearchParams(good).get('sign')!;

  it('accepts a leading "?", and a raw "+" in sign', () => {
    expect(verifier.verifyNotification(`?${good}`).order_id).toBe('order-1');
    const raw = good.replace(/sign=.*$/, `sign=${sign.replaceAll('/', '%2F').replaceAll('=', '%3D')}`);
    expect(sign).toContain('+');
    expect(verifier.verifyNotification(raw).order_id).toBe('order-1');
  });

  it.each([
    ['an empty query', ''],
    ['a query over 8 KB', `${good}&x=${'y'.repeat(8192)}`],
    ['a repeated parameter, even with the same value', `${good}&amount=1000.44`],
    ['a parameter that PHP folds onto a known one', `${good}&order.id=x`],
    ['an id with a leading zero', good.replace('id=100001524', 'id=0100001524')],
    ['an id that is no integer', good.replace('id=100001524', 'id=1e3')],
    ['an id beyond 64 bits', good.replace('id=100001524', 'id=9223372036854775808')],
    ['broken percent-encoding', good.replace('order-1', 'order-%ff')],
    [
      'url-safe base64',
      good.replace(/sign=.*$/, `sign=${encodeURIComponent(sign.replaceAll('+', '-').replaceAll('/', '_'))}`),
    ],
    ['a signature that is too short', good.replace(/sign=.*$/, 'sign=AAAA')],
  ])('calls malformed, before any cryptography: %s', (_, query) => {
    expect(() => verifier.verifyNotification(query)).toThrow(expect.objectContaining({ reason: 'malformed' }));
  });

  it('calls a mismatch what was changed after it was signed', () => {
    const changed = good.replace('amount=1000.44', 'amount=1000.45');
    expect(() => verifier.verifyNotification(changed)).toThrow(expect.objectContaining({ reason: 'mismatch' }));
  });

  it.each([
    ['bytes of chance', Buffer.alloc(218, 7)],
    ['padding that ends early', Buffer.concat([Buffer.alloc(8, 255), Buffer.alloc(210)])],
  ])('calls a mismatch a signature that holds the right digest behind %s', (_, middle) => {
    const { signed_json } = notifications.vectors.find(({ why }) => why === 'status paid')!;
    const digest = createHash('sha1').update(signed_json!).digest();
    const padded = Buffer.concat([Buffer.from([0, 1]), middle, Buffer.alloc(256 - 2 - 218 - 20), digest]);
    const key = { key: notifications.private_pem_for_tests, padding: constants.RSA_NO_PADDING };
    const forged = encodeURIComponent(privateEncrypt(key, padded).toString('base64'));
    expect(() => verifier.verifyNotification(good.replace(/sign=.*$/, `sign=${forged}`))).toThrow(
      expect.objectContaining({ reason: 'mismatch' }),
    );
  });

  it('says what is wrong', () => {
    expect(() => verifier.verifyNotification(good.replace(/sign=.*$/, 'sign=AAAA'))).toThrow(
      'sign has 3 bytes instead of 256',
    );
    expect(() => verifier.verifyNotification(good.replace('amount=1000.44', 'amount=1'))).toThrow(
      "The notification's signature does not belong to its content.",
    );
  });

  it('never quotes the signature or the content', () => {
    const changed = good.replace('order-1', 'order-2');
    expect(() => verifier.verifyNotification(changed)).toThrow(/^(?!.*order-2)(?!.*S95IXTbU).*$/s);
  });
});

describe('keys that are wrong are refused at the start, by setting', () => {
  const pair = (bits: number) =>
    generateKeyPairSync('rsa', {
      modulusLength: bits,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
  const ec = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  /** The modulus of one key, the private numbers of another: it loads, but its signatures are worthless. */
  const mixedKey = () => {
    const [one, other] = [pair(2048), pair(2048)].map(({ privateKey }) =>
      createPrivateKey(privateKey).export({ format: 'jwk' }),
    );
    const mixed = createPrivateKey({ format: 'jwk', key: { ...other, n: one!.n } });
    return mixed.export({ type: 'pkcs8', format: 'pem' }).toString();
  };
  const encrypted = keys['pkcs8-aes256']!;
  const good = { privateKey: plain.private_pem, notificationPublicKey: notifications.public_pem };

  it.each([
    ['passphrase', 'another passphrase', { privateKey: encrypted.private_pem, passphrase: 'wrong' }],
    ['passphrase', 'none for an encrypted key', { privateKey: encrypted.private_pem }],
    ['passphrase', 'none for an encrypted legacy key', { privateKey: keys['pkcs1-des3']!.private_pem, passphrase: '' }],
    ['privateKey', 'an empty text', { privateKey: '' }],
    ['privateKey', 'a path instead of a text', { privateKey: '/etc/private.pem' }],
    ['privateKey', 'a public key', { privateKey: plain.public_pem }],
    ['privateKey', 'an EC key', { privateKey: ec.privateKey }],
    ['privateKey', 'a short key', { privateKey: pair(1024).privateKey }],
    ['privateKey', 'a damaged key', { privateKey: plain.private_pem.replace(/[A-Z]{3}/g, 'AAA') }],
    ['privateKey', 'a key that signs what it does not verify', { privateKey: mixedKey() }],
    ['notificationPublicKey', 'a private key', { notificationPublicKey: plain.private_pem }],
    ['notificationPublicKey', 'an EC key', { notificationPublicKey: ec.publicKey }],
    ['notificationPublicKey', 'a short key', { notificationPublicKey: pair(1024).publicKey }],
    ['notificationPublicKey', 'no PEM', { notificationPublicKey: 'x' }],
    ['digest', 'another digest', { digest: 'md5' as 'sha1' }],
  ])('%s: %s', (setting, _, changes) => {
    const make = () => new SignatureProvider({ ...good, ...changes });
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(expect.objectContaining({ setting }));
  });

  it.each([
    ['a digest', { digest: 'md5' as 'sha1' }, 'must be sha1 or sha256'],
    [
      'a key that signs what it does not verify',
      { privateKey: mixedKey() },
      'does not sign and verify a test text; download private.pem again',
    ],
  ])('and it says what to do: %s', (_, changes, advice) => {
    expect(() => new SignatureProvider({ ...good, ...changes })).toThrow(advice);
  });
});
