import { execFile, spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { EUR, prepare, RUB, type TestSurroundings } from '../helpers/application.js';
import { certificate } from '../helpers/certificate.js';
import { referenceEnvironment } from '../helpers/reference.js';
import { eventually } from '../helpers/until.js';

type Settings = Record<string, string | undefined>;

const CLI = resolve('dist/src/app/cli.js');
const folder = mkdtempSync(join(tmpdir(), 'alikassa-startup-'));
const PKCS8 = { type: 'pkcs8', format: 'pem' } as const;
const SPKI = { type: 'spki', format: 'pem' } as const;

let surroundings: TestSurroundings;
let env: Settings;
let busy: Server;

beforeAll(async () => {
  surroundings = await prepare();
  env = referenceEnvironment(surroundings);
  busy = createServer().listen(0);
  await new Promise((listening) => busy.once('listening', listening));
});
afterAll(async () => {
  await new Promise((closed) => busy.close(closed));
  await surroundings.stop();
  rmSync(folder, { recursive: true });
});

/** Runs the built command as a process of its own, with nothing but this environment. */
function serve(settings: Settings): Promise<{ code: number; out: string; err: string }> {
  const set = Object.entries(settings).filter(([, value]) => value !== undefined);
  return new Promise((done) => {
    const options = { cwd: folder, env: { PATH: process.env.PATH, ...Object.fromEntries(set) }, timeout: 20_000 };
    execFile(process.execPath, [CLI, 'serve'], options, (error, out, err) =>
      done({ code: error ? Number(error.code ?? -1) : 0, out, err }),
    );
  });
}

/** A file of this content and mode, whatever the umask is. */
function file(text: string, mode: number, name = `key-${mode.toString(8)}`): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
const privatePem = (bits: number): string => rsa(bits).privateKey.export(PKCS8).toString();
const publicPem = (bits: number): string => rsa(bits).publicKey.export(SPKI).toString();
const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A private key whose modulus is another key's: it can be read, but what it signs does not verify. */
function tornPem(): string {
  const jwk = (): JsonWebKey => rsa(2048).privateKey.export({ format: 'jwk' });
  const torn = createPrivateKey({ key: { ...jwk(), n: jwk().n }, format: 'jwk' });
  return torn.export(PKCS8).toString();
}

const inline = (key: string): Settings => ({ ALIKASSA_PRIVATE_KEY: key, ALIKASSA_PRIVATE_KEY_PASSWORD: '' });
const fromFile = (name: string, path: string): Settings => ({ [name]: undefined, [`${name}_PATH`]: path });
const privateKey = (): string => String(surroundings.options.privateKey);

/** What is wrong -> settings, and the sentence: where it is, then what. */
const FAULTS: [string, () => Settings, RegExp][] = [
  [
    'a passphrase that does not decrypt the key',
    () => ({ ALIKASSA_PRIVATE_KEY_PASSWORD: 'wrong' }),
    /ALIKASSA_PRIVATE_KEY_PASSWORD: does not decrypt the private key/,
  ],
  [
    'an encrypted key without a passphrase',
    () => ({ ALIKASSA_PRIVATE_KEY_PASSWORD: '' }),
    /ALIKASSA_PRIVATE_KEY_PASSWORD_PATH: is missing, but the private key is encrypted/,
  ],
  [
    'a private key that is not RSA',
    () => inline(ec().privateKey.export(PKCS8).toString()),
    /ALIKASSA_PRIVATE_KEY: is a key of type ec/,
  ],
  ['a private key below 2048 bits', () => inline(privatePem(2040)), /ALIKASSA_PRIVATE_KEY: has 2040 bits/],
  ['a public key as the private one', () => inline(publicPem(2048)), /ALIKASSA_PRIVATE_KEY: holds a public key/],
  ['a certificate as the private key', () => inline(certificate().cert), /ALIKASSA_PRIVATE_KEY: holds a public key/],
  ['text that is no key', () => inline('secret'), /ALIKASSA_PRIVATE_KEY: is not PEM text/],
  [
    'a broken private key',
    () => inline(privatePem(2048).replace(/\n[^\n]+\n/, '\nAAAA\n')),
    /ALIKASSA_PRIVATE_KEY: cannot be read/,
  ],
  [
    'a private key whose signature does not verify',
    () => inline(tornPem()),
    /ALIKASSA_PRIVATE_KEY: does not sign and verify a test text/,
  ],
  ['no private key', () => ({ ALIKASSA_PRIVATE_KEY: '' }), /ALIKASSA_PRIVATE_KEY_PATH: is missing/],
  [
    'a private key where the public one belongs',
    () => ({ ALIKASSA_NOTIFICATION_PUBLIC_KEY: privatePem(2048) }),
    /ALIKASSA_NOTIFICATION_PUBLIC_KEY: holds a private key/,
  ],
  [
    'a notification key that is not RSA',
    () => ({ ALIKASSA_NOTIFICATION_PUBLIC_KEY: ec().publicKey.export(SPKI).toString() }),
    /ALIKASSA_NOTIFICATION_PUBLIC_KEY: is a key of type ec/,
  ],
  [
    'a notification key below 2048 bits',
    () => ({ ALIKASSA_NOTIFICATION_PUBLIC_KEY: publicPem(1024) }),
    /ALIKASSA_NOTIFICATION_PUBLIC_KEY: has 1024 bits/,
  ],
  [
    'no notification key',
    () => ({ ALIKASSA_NOTIFICATION_PUBLIC_KEY: '' }),
    /ALIKASSA_NOTIFICATION_PUBLIC_KEY_PATH: is missing/,
  ],
  [
    'a base URL that is not https',
    () => ({ ALIKASSA_BASE_URL: 'http://api-merchant.alikassa.com' }),
    /ALIKASSA_BASE_URL: must be https/,
  ],
  ['a base URL that is none', () => ({ ALIKASSA_BASE_URL: 'alikassa' }), /ALIKASSA_BASE_URL: is not a URL/],
  ['no encryption key', () => ({ ALIKASSA_ENCRYPTION_KEYS: '' }), /ALIKASSA_ENCRYPTION_KEYS: is missing/],
  [
    'an encryption key that is too short',
    () => ({ ALIKASSA_ENCRYPTION_KEYS: 'k1:c2hvcnQ=' }),
    /ALIKASSA_ENCRYPTION_KEYS: key "k1" must be 32 bytes/,
  ],
  [
    'an account named twice',
    () => ({ ALIKASSA_ACCOUNTS: `RUB:${RUB},EUR:${RUB.toUpperCase()}` }),
    /ALIKASSA_ACCOUNTS: account \S+ is named twice/,
  ],
  [
    'no accounts, though there is a key',
    () => ({ ALIKASSA_ACCOUNTS: '' }),
    /ALIKASSA_ACCOUNTS: is missing though a payout key is set/,
  ],
  ['no tokens', () => ({ ALIKASSA_API_TOKENS: '' }), /ALIKASSA_API_TOKENS: is missing/],
  ['a token in the clear', () => ({ ALIKASSA_API_TOKENS: 'shop:payouts:read:pw' }), /ALIKASSA_API_TOKENS: must be wri/],
  ['an unknown digest', () => ({ ALIKASSA_SIGNATURE_DIGEST: 'md5' }), /ALIKASSA_SIGNATURE_DIGEST: must be sha1 or/],
  [
    'a lease shorter than a call',
    () => ({ ALIKASSA_TIMEOUT_MS: '2000', ALIKASSA_LEASE_MS: '1000' }),
    /ALIKASSA_LEASE_MS: must be longer/,
  ],
  ['a schedule that is none', () => ({ ALIKASSA_CHECK_SCHEDULE: 'soon' }), /ALIKASSA_CHECK_SCHEDULE: "soon" is not/],
  ['an authority that is none', () => ({ ALIKASSA_CA: 'pinned' }), /ALIKASSA_CA: holds no certificate/],
  [
    'an authority that is broken',
    () => ({ ALIKASSA_CA: certificate().cert.replace(/\n[^\n]+\n/, '\n') }),
    /ALIKASSA_CA: holds a certificate that cannot be read/,
  ],
  [
    'a key file that is not there',
    () => fromFile('ALIKASSA_PRIVATE_KEY', '/no/such/file'),
    /ALIKASSA_PRIVATE_KEY_PATH: the file \/no\/such\/file cannot be read \(ENOENT\)/,
  ],
  [
    'a private key that every user can read',
    () => fromFile('ALIKASSA_PRIVATE_KEY', file(privateKey(), 0o644)),
    /ALIKASSA_PRIVATE_KEY_PATH: every user of this machine may read .*\/key-644 \(mode 644\); run chmod 600 \S+key-644$/m,
  ],
  [
    'a private key that every user can read, behind a link',
    () => {
      symlinkSync(file(privateKey(), 0o604), join(folder, 'link'));
      return fromFile('ALIKASSA_PRIVATE_KEY', join(folder, 'link'));
    },
    /ALIKASSA_PRIVATE_KEY_PATH: every user of this machine may read .*\/link \(mode 604\)/,
  ],
  [
    'a passphrase that every user can read',
    () => fromFile('ALIKASSA_PRIVATE_KEY_PASSWORD', file('secret', 0o444)),
    /ALIKASSA_PRIVATE_KEY_PASSWORD_PATH: every user of this machine may read/,
  ],
  [
    'a notification key that every user can change',
    () => fromFile('ALIKASSA_NOTIFICATION_PUBLIC_KEY', file(publicPem(2048), 0o646)),
    /ALIKASSA_NOTIFICATION_PUBLIC_KEY_PATH: every user of this machine may change/,
  ],
  [
    'a database that does not exist',
    () => ({ DATABASE_URL: surroundings.database.url.replace(/[^/]+$/, 'missing') }),
    /DATABASE_URL: the database cannot be used: the database does not exist/,
  ],
  ['a port that is in use', () => ({ PORT: String((busy.address() as { port: number }).port) }), /PORT: \d+ is in use/],
];

it.each(FAULTS)(
  '%s: the process does not start, and one sentence says what and where',
  async (_, changes, sentence) => {
    const { code, out, err } = await serve({ ...env, ...changes() });
    expect([code, err.trim().split('\n')]).toEqual([1, [expect.stringMatching(sentence)]]);
    expect(err).toMatch(/^alikassa: /);
    // Neither a secret nor a stack, and the application has not begun to start.
    for (const secret of [env['ALIKASSA_PRIVATE_KEY_PASSWORD'], env['DATABASE_URL'], env['ALIKASSA_ENCRYPTION_KEYS']]) {
      expect(out + err).not.toContain(secret);
    }
    expect(out).toBe('');
  },
);

it.each<[string, () => Settings]>([
  ['inline in the environment', () => ({})],
  [
    'in files of its owner, and of a group as Kubernetes makes them',
    () => ({
      ...fromFile('ALIKASSA_PRIVATE_KEY', file(privateKey(), 0o400)),
      ...fromFile('ALIKASSA_PRIVATE_KEY_PASSWORD', file(`${surroundings.options.passphrase}\n`, 0o440)),
      ...fromFile('ALIKASSA_NOTIFICATION_PUBLIC_KEY', file(env['ALIKASSA_NOTIFICATION_PUBLIC_KEY'] ?? '', 0o644)),
      ...fromFile('ALIKASSA_CA', file(certificate().cert, 0o444, 'ca')),
    }),
  ],
])('with its secrets %s the process starts', async (_, changes) => {
  const set = Object.entries({ ...env, ...changes() }).filter(([, value]) => value !== undefined);
  const settings = { PATH: process.env.PATH, ...Object.fromEntries(set) };
  const child = spawn(process.execPath, [CLI, 'serve'], {
    cwd: folder,
    env: settings,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise((done) => child.once('exit', done));
  const url = `http://127.0.0.1:${surroundings.port}/alikassa/balance?account=${EUR}`;
  const headers = { authorization: 'Bearer reader-token' };
  const answer = await eventually(
    `the process listens: ${output}`,
    () => child.exitCode === null && fetch(url, { headers }),
  ).finally(() => child.kill('SIGTERM'));
  expect([answer.status, await ended]).toEqual([200, 0]);
});
