import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign as cryptoSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AliKassaSimulator, generateTestKeys, type TestKeys } from '../../src/testing/index.js';
import { RUB } from '../helpers/application.js';
import { alikassa } from '../helpers/cli.js';
import { forgedQuery, signedQuery, signOf, withSign } from '../helpers/notification.query.js';

const COMMANDS = [
  'serve',
  'demo',
  'migrate',
  'recover',
  'doctor',
  'keys generate',
  'keys rotate',
  'sign',
  'verify',
  'openapi',
  'completion',
];
/** Stands in a notification of the tests below; no output may show it. */
const NUMBER = '4242424242424242';
const folder = mkdtempSync(join(tmpdir(), 'alikassa-commands-'));

let keys: TestKeys;
let simulator: AliKassaSimulator;
let env: Record<string, string | undefined>;

beforeAll(async () => {
  keys = await generateTestKeys();
  simulator = new AliKassaSimulator({
    payoutPublicKey: keys.payout.publicKey,
    notificationPrivateKey: keys.notification.privateKey,
    accounts: [{ uuid: RUB, currency: 'RUB' }],
  });
  env = {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
    ALIKASSA_ACCOUNTS: `RUB:${RUB}`,
    ALIKASSA_PRIVATE_KEY: keys.payout.privateKey,
    ALIKASSA_PRIVATE_KEY_PASSWORD: keys.payout.passphrase,
    ALIKASSA_NOTIFICATION_PUBLIC_KEY: keys.notification.publicKey,
    ALIKASSA_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    ALIKASSA_API_TOKENS: `shop:payouts:create:${'a'.repeat(64)}`,
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('alikassa', () => {
  it('lists every command in its help', async () => {
    const { code, out } = await alikassa(['--help']);
    expect([code, COMMANDS.filter((name) => !out.includes(`\n  ${name}`))]).toEqual([0, []]);
  });

  it.each(COMMANDS)('%s explains itself with --help, without a configuration', async (name) => {
    const { code, out, err } = await alikassa([...name.split(' '), '--help']);
    expect([code, out, err]).toEqual([0, expect.stringContaining(`Usage: alikassa ${name}`), '']);
  });

  it.each([
    ['no command', []],
    ['an unknown command', ['pay']],
    ['half a command', ['keys']],
    ['an unknown flag', ['doctor', '--fix']],
    ['a flag of another command', ['doctor', '--down']],
    ['an argument too many', ['openapi', 'x']],
    ['an argument that is missing', ['sign']],
    ['two arguments for one', ['verify', 'a', 'b']],
    ['an unknown shell', ['completion', 'csh']],
  ])('exits with 2 for %s, and says so on standard error', async (_, args) => {
    const { code, out, err } = await alikassa(args, env);
    expect([code, out, err]).toEqual([2, '', expect.stringMatching(/^alikassa: .*see alikassa --help/)]);
  });

  it.each(['sign', 'verify', 'doctor'])('%s exits with 1 where the configuration is at fault', async (name) => {
    const args = name === 'doctor' ? [name] : [name, '-'];
    const { code } = await alikassa(args, { ...env, ALIKASSA_PRIVATE_KEY_PASSWORD: 'wrong' });
    expect(code).toBe(1);
  });
});

describe('alikassa sign', () => {
  const body = '{"order_id":"A-1","service":"a\\/b"}';
  const expected = (text: string): string => {
    const { privateKey, passphrase } = keys.payout;
    return cryptoSign('sha1', Buffer.from(text), createPrivateKey({ key: privateKey, passphrase })).toString('base64');
  };

  it('prints the Sign header of a file, and nothing else', async () => {
    const file = join(folder, 'body.json');
    writeFileSync(file, body);
    expect(await alikassa(['sign', file], env)).toEqual({ code: 0, out: `${expected(body)}\n`, err: '' });
  });

  it('signs the very bytes of standard input, and warns of those that PHP would not have written', async () => {
    const text = `${body.replace('\\/', '/')}\n`;
    const { code, out, err } = await alikassa(['sign', '-'], env, text);
    expect([code, out]).toEqual([0, `${expected(text)}\n`]);
    expect(err).toMatch(/note: .*json_encode.*line break/);
  });

  it('says which file it cannot read', async () => {
    const { code, err } = await alikassa(['sign', join(folder, 'none.json')], env);
    expect([code, err]).toEqual([1, expect.stringMatching(/none\.json: cannot be read \(ENOENT\)/)]);
  });
});

describe('alikassa verify', () => {
  const genuine = (changes: Record<string, string | null> = {}): string =>
    signedQuery(simulator, { desc: NUMBER, ...changes });
  const verdicts = (out: string): string[] =>
    out
      .trim()
      .split('\n')
      .map((line) => line.replace(/^(\S+) +(\S+).*/, '$1 $2'));

  it('says of a genuine notification step by step that it is right', async () => {
    const { code, out } = await alikassa(['verify', genuine()], env);
    expect([code, verdicts(out)]).toEqual([
      0,
      ['ok form', 'ok length', 'ok key', 'ok signature', 'ok type', 'ok account', 'ok status'],
    ]);
  });

  it('takes a whole URL, and standard input', async () => {
    expect((await alikassa(['verify', `https://shop.example/n?${genuine()}`], env)).code).toBe(0);
    expect((await alikassa(['verify', '-'], env, `?${genuine()}\n`)).code).toBe(0);
  });

  it.each<[what: string, query: () => string, step: string, words: RegExp]>([
    ['a parameter that is missing', () => genuine().replace(/&?order_id=[^&]*/, ''), 'form', /order_id is missing/],
    ['a parameter that is repeated', () => `${genuine()}&amount=1`, 'form', /amount is given twice/],
    ['a signature that was cut', () => withSign(genuine(), signOf(genuine()).slice(0, 8)), 'length', /cut/],
    ['content that was changed', () => forgedQuery(simulator), 'signature', /changed/],
    ['a signature of the payout key', () => signedBy(keys.payout), 'key', /your own payout key/],
    ['a signature of a stranger', () => signedBy(stranger()), 'key', /another key made it/],
  ])('exits with 1 for %s, and says what is wrong', async (_, query, step, words) => {
    const { code, out } = await alikassa(['verify', query()], env);
    const last = out.trim().split('\n').at(-1) ?? '';
    expect([code, verdicts(last), last]).toEqual([1, [`FAIL ${step}`], expect.stringMatching(words)]);
  });

  it.each<[what: string, changes: Record<string, string>, step: string]>([
    ['a payment', { type: 'payment' }, 'type'],
    ['an account that is not configured', { account: RUB.replace(/0$/, '9') }, 'account'],
    ['an unknown status', { payment_status: 'done' }, 'status'],
  ])('warns of %s, which changes nothing', async (_, changes, step) => {
    const { code, out } = await alikassa(['verify', genuine(changes)], env);
    expect([code, verdicts(out)]).toEqual([0, expect.arrayContaining([`warn ${step}`])]);
  });

  it('shows no value of the notification, right or wrong', async () => {
    const queries = [genuine(), genuine().replace('payout', 'payment'), genuine().replace(/sign=/, 'sign=%00')];
    for (const query of queries) {
      const { out, err } = await alikassa(['verify', query], env);
      const values = [...new URLSearchParams(query).values()].filter((value) => value.length > 8);
      expect(values).toContain(NUMBER);
      expect(values.filter((value) => (out + err).includes(value))).toEqual([]);
    }
  });

  function stranger(): Pick<TestKeys['payout'], 'privateKey' | 'passphrase'> {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return { privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), passphrase: '' };
  }

  /** The same notification under another key; the text is written here as PHP would. */
  function signedBy({ privateKey, passphrase }: Pick<TestKeys['payout'], 'privateKey' | 'passphrase'>): string {
    const fields = { type: 'payout', id: 7, order_id: 'A-1', payment_status: 'paid', amount: null };
    const text = JSON.stringify({
      ...fields,
      payment_amount: null,
      commission_amount: null,
      is_partial_payment: null,
      account: RUB,
      service: null,
      desc: null,
    });
    const key = createPrivateKey({ key: privateKey, passphrase });
    const query = new URLSearchParams({
      type: 'payout',
      id: '7',
      order_id: 'A-1',
      payment_status: 'paid',
      account: RUB,
    });
    query.set('sign', cryptoSign('sha1', Buffer.from(text), key).toString('base64'));
    return query.toString();
  }
});

describe('alikassa completion', () => {
  /** What bash offers after these words. */
  const offered = (script: string, words: string[]): string[] => {
    const line = `${script}\nCOMP_WORDS=(alikassa ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
      _alikassa; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', line], { encoding: 'utf8' }).trim().split('\n').toSorted();
  };

  it('offers bash the commands, their second words, their flags and their values', async () => {
    const { out } = await alikassa(['completion', 'bash']);
    const first = [...new Set(COMMANDS.map((name) => name.split(' ')[0] ?? ''))];
    expect(offered(out, [''])).toEqual([...first, '--help', '--version'].toSorted());
    expect(offered(out, ['do'])).toEqual(['doctor']);
    expect(offered(out, ['keys', ''])).toEqual(['generate', 'rotate']);
    expect(offered(out, ['migrate', '--'])).toEqual(['--down', '--help']);
    expect(offered(out, ['recover', '--'])).toEqual(['--dry-run', '--help']);
    expect(offered(out, ['completion', ''])).toEqual(['--help', 'bash', 'fish', 'zsh']);
  });

  it('gives zsh the same script behind its own preparation', async () => {
    const [bash, zsh] = [await alikassa(['completion', 'bash']), await alikassa(['completion', 'zsh'])];
    expect(zsh.out).toBe(`autoload -Uz compinit bashcompinit && compinit && bashcompinit\n${bash.out}`);
  });

  it('gives fish every command', async () => {
    const { code, out } = await alikassa(['completion', 'fish']);
    expect(code).toBe(0);
    for (const word of COMMANDS.flatMap((name) => name.split(' ')))
      expect(out).toMatch(new RegExp(`['\\s]${word}['\\s]`));
  });
});
