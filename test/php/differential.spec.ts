import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { phpJsonEncode } from '../../src/provider/php-json.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';

const hasPhp = spawnSync('php', ['-r', 'exit(function_exists("openssl_sign") ? 0 : 1);']).status === 0;
if (!hasPhp) console.log('PHP not found: the differential test was skipped.');
const withPhp = hasPhp ? describe : describe.skip; // without PHP there is nothing to compare with

const VALUES = 5_000;
const SIGNATURES = 300;

function php(commands: object[]): (string | number)[] {
  const input = commands.map((command) => JSON.stringify(command)).join('\n');
  const run = spawnSync('php', ['test/php/oracle.php'], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  const lines = run.stdout.trim().split('\n');
  if (run.status !== 0 || lines.length !== commands.length) throw new Error(`PHP failed: ${run.stderr}${lines.at(-1)}`);
  return lines.map((line) => (JSON.parse(line) as { out: string | number }).out);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const text = fc.string({ unit: 'binary', maxLength: 60 });
// PHP turns integer-like keys into integers, and lists them in another order than JavaScript: no request has any.
const key = fc
  .string({ unit: 'binary', maxLength: 12 })
  .filter((one) => !/^-?\d+$/.test(one) && one !== '__proto__' && one !== '');
const leaf = fc.oneof(
  text,
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6 }),
  ),
}));

withPhp('against PHP itself', () => {
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'päss phrase' },
  });
  const notifier = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const provider = (digest: 'sha1' | 'sha256') =>
    new SignatureProvider({
      privateKey: keys.privateKey,
      passphrase: 'päss phrase\n',
      notificationPublicKey: notifier.publicKey,
      digest,
    });

  it(`encodes ${VALUES} random values as json_encode does`, () => {
    const values = fc.sample(value, VALUES);
    const encoded = php(values.map((one) => ({ do: 'encode', json: base64(JSON.stringify(one)) })));
    // JSON.stringify has no negative zero, so PHP never saw one.
    const seen = values.map((one) => JSON.parse(JSON.stringify(one)) as unknown);
    const ours = seen.map((one) => phpJsonEncode(one));
    expect(
      ours.flatMap((text, i) => (text === encoded[i] ? [] : [{ ours: text, php: encoded[i] }])).slice(0, 3),
    ).toEqual([]);
  });

  it.each(['sha1', 'sha256'] as const)(
    `gives the %s signatures of openssl_sign, and openssl_verify takes ours`,
    async (digest) => {
      const texts = fc.sample(text, SIGNATURES);
      const ours = await Promise.all(texts.map((one) => provider(digest).sign(one)));
      const command = { key: keys.privateKey, passphrase: 'päss phrase', digest };
      expect(ours).toEqual(php(texts.map((one) => ({ do: 'sign', text: base64(one), ...command }))));
      const verdicts = php(
        texts.map((one, i) => ({ do: 'verify', text: base64(one), sign: ours[i], key: keys.publicKey, digest })),
      );
      expect(new Set(verdicts)).toEqual(new Set([1]));
    },
  );

  it.each(['sha1', 'sha256'] as const)('accepts notifications that PHP made and signed with %s', (digest) => {
    // One with a NUL is refused: Postgres could not keep it.
    const kept = text.map((one) => one.replaceAll('\0', ''));
    const optional = fc.option(kept, { nil: null });
    const fields = fc.record({
      type: fc.constantFrom('payout', 'payment'),
      id: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String),
      order_id: kept,
      payment_status: fc.constantFrom('wait', 'paid', 'cancel', 'fail'),
      amount: fc.constantFrom('1000.44', '0.01'),
      payment_amount: optional,
      commission_amount: optional,
      is_partial_payment: fc.constantFrom('0', '1', null),
      account: fc.constant(randomUUID()),
      service: optional,
      desc: optional,
    });
    const made = fc.sample(fields, SIGNATURES);
    const queries = php(made.map((one) => ({ do: 'notify', fields: one, key: notifier.privateKey, digest })));
    const verifier = provider('sha1');
    expect(queries.map((query) => verifier.verifyNotification(String(query)))).toEqual(made);
  });
});
