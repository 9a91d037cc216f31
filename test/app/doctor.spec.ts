import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateTestKeys, type TestKeys } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { alikassa } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { payload } from '../helpers/payload.js';
import { referenceEnvironment, startReference, TOKENS, type ReferenceApplication } from '../helpers/reference.js';
import { unprotected } from '../helpers/unprotected.js';

type Settings = Record<string, string | undefined>;

/** Loaded before everything else: the process's clock is an hour ahead. */
const CLOCK_AHEAD = `--import "data:text/javascript,${encodeURIComponent(
  'const now = Date.now; Date.now = () => now() + 3_600_000;',
)}"`;

/** An address at which nothing listens. */
let nobody: string;
let app: ReferenceApplication;
let env: Settings;
let others: TestKeys;
/** As docs/DATABASE.md sets one up. */
let restricted: TestDatabase;

beforeAll(async () => {
  [app, others, restricted] = await Promise.all([
    startReference({ worker: { enabled: false } }),
    generateTestKeys(),
    createTestDatabase(undefined, true),
  ]);
  nobody = `http://127.0.0.1:${await freePort()}`;
  env = referenceEnvironment(app);
  await app.call(TOKENS.all.text, 'POST', 'payouts', payload());
});
afterAll(async () => {
  await Promise.all([app.stop(), restricted.drop()]);
});

/** What doctor says under this name; the process must have ended with the code that goes with it. */
async function examined(name: string, changes: Settings = {}): Promise<string[]> {
  const { code, out } = await alikassa(['doctor'], { ...env, ...changes });
  expect({ out, code }).toEqual({ out, code: out.includes('FAIL') ? 1 : 0 });
  return out.split('\n').filter((line) => line.slice(6, 21).trim() === name);
}

/** Runs while `sql` holds; `undo` takes it back. */
async function meanwhile<T>(database: TestDatabase, sql: string, undo: string, work: () => Promise<T>): Promise<T> {
  await database.pool.query(sql);
  try {
    return await work();
  } finally {
    await database.pool.query(undo);
  }
}

async function withServer<T>(listener: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/alikassa/notifications`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const fails = (words: RegExp): unknown => [expect.stringMatching(new RegExp(`^FAIL .*${words.source}`))];
const warns = (words: RegExp): unknown => [expect.stringMatching(new RegExp(`^warn .*${words.source}`))];

describe('alikassa doctor', () => {
  it('finds nothing wrong with a service that is set up right, and ends with 0', async () => {
    const { code, out } = await alikassa(['doctor'], env);
    expect([code, out.match(/^\S+/gm)?.filter((verdict) => verdict !== 'ok')]).toEqual([0, []]);
    for (const name of ['keys', 'clock', 'connections', 'migrations', 'rights', 'key ring', 'notifications']) {
      expect(out).toMatch(new RegExp(`^ok {4}${name} `, 'm'));
    }
  });

  it('finds nothing missing for the role of the guide', async () => {
    expect(await examined('rights', { DATABASE_URL: restricted.url })).toEqual([expect.stringMatching(/^ok/)]);
  });

  it('says that the passphrase is wrong', async () => {
    const lines = await examined('keys', { ALIKASSA_PRIVATE_KEY_PASSWORD: 'another' });
    expect(lines).toEqual(fails(/ALIKASSA_PRIVATE_KEY_PASSWORD: does not decrypt the private key/));
  });

  it('says that the public key of the payout certificate stands for that of notifications', async () => {
    const { privateKey, publicKey, passphrase } = others.payout;
    const swapped = { ALIKASSA_PRIVATE_KEY: privateKey, ALIKASSA_PRIVATE_KEY_PASSWORD: passphrase };
    const lines = await examined('keys', { ...swapped, ALIKASSA_NOTIFICATION_PUBLIC_KEY: publicKey });
    expect(lines).toEqual(fails(/ALIKASSA_NOTIFICATION_PUBLIC_KEY: is the public.pem of the payout certificate/));
  });

  it("says that the payout key may be another merchant's", async () => {
    const { privateKey, passphrase } = others.payout;
    const lines = await examined('provider RUB', {
      ALIKASSA_PRIVATE_KEY: privateKey,
      ALIKASSA_PRIVATE_KEY_PASSWORD: passphrase,
    });
    expect(lines).toEqual(fails(/that the private key is this merchant's/));
  });

  it("says that this machine's clock is wrong, and by how much", async () => {
    expect(await examined('clock', { NODE_OPTIONS: CLOCK_AHEAD })).toEqual(fails(/36\d\d s ahead of .*NTP/));
  });

  it('says that the provider cannot be reached', async () => {
    const lines = await examined('provider RUB', { ALIKASSA_BASE_URL: nobody });
    expect(lines).toEqual(fails(/cannot be reached; check ALIKASSA_BASE_URL/));
  });

  it('says that a migration of the module is missing', async () => {
    const last = 'SELECT max(id) FROM alikassa_migrations';
    const lines = await meanwhile(
      app.database,
      `UPDATE alikassa_migrations SET name = name || '_' WHERE id = (${last})`,
      `UPDATE alikassa_migrations SET name = rtrim(name, '_') WHERE id = (${last})`,
      () => examined('migrations'),
    );
    expect(lines).toEqual(fails(/lacks \w+; run "alikassa migrate"/));
  });

  it("says that the job engine's schema is older than the engine that is installed", async () => {
    const last = 'SELECT max(id) FROM alikassa_worker.migrations';
    const lines = await meanwhile(
      app.database,
      `UPDATE alikassa_worker.migrations SET id = 0 WHERE id = (${last})`,
      `UPDATE alikassa_worker.migrations SET id = (${last}) + 1 WHERE id = 0`,
      () => examined('migrations'),
    );
    expect(lines).toEqual(fails(/of an older version .*run "alikassa migrate"/));
  });

  it.each([
    ['INSERT', 'alikassa_keys', /INSERT on alikassa_keys/],
    ['UPDATE (heard, attention)', 'alikassa_payouts', /UPDATE \(attention, heard\) on alikassa_payouts/],
    ['INSERT (id, identity, reason, ask_until)', 'alikassa_database_epochs', /INSERT on alikassa_database_epochs/],
  ])('says that the role lacks %s on %s', async (right, table, said) => {
    const lines = await meanwhile(
      restricted,
      `REVOKE ${right} ON ${table} FROM alikassa_app`,
      `GRANT ${right} ON ${table} TO alikassa_app`,
      () => examined('rights', { DATABASE_URL: restricted.url }),
    );
    expect(lines).toEqual(fails(new RegExp(`lacks ${said.source}; run the grants of docs/DATABASE.md`)));
  });

  it("says that row-level security hides the engine's jobs from the role", async () => {
    const lines = await meanwhile(
      restricted,
      'DROP POLICY alikassa_app ON alikassa_worker._private_jobs',
      'CREATE POLICY alikassa_app ON alikassa_worker._private_jobs TO alikassa_app USING (true) WITH CHECK (true)',
      () => examined('rights', { DATABASE_URL: restricted.url }),
    );
    expect(lines).toEqual(fails(/lacks a policy on alikassa_worker._private_jobs/));
  });

  it('says that the key ring lacks a key that rows are under', async () => {
    const lines = await examined('key ring', {
      ALIKASSA_ENCRYPTION_KEYS: `k9:${randomBytes(32).toString('base64')}`,
    });
    expect(lines).toEqual(fails(/lacks the key "test", and 1 row\(s\) are under it/));
  });

  it('says that the key ring has another key under the id that rows name', async () => {
    const lines = await examined('key ring', {
      ALIKASSA_ENCRYPTION_KEYS: `test:${randomBytes(32).toString('base64')}`,
    });
    expect(lines).toEqual(fails(/another key under the id "test"/));
  });

  it('asks for no key of another instance', async () => {
    await unprotected(
      app.database.pool,
      `INSERT INTO alikassa_payouts (id, instance, order_id, account, currency, amount, service, number_masked, status,
         key_id, recipient_ciphertext, number_fingerprint, content_fingerprint)
       VALUES (gen_random_uuid(), 'other', 'A', gen_random_uuid(), 'RUB', 1, 's', '*', 'queued', 'gone', '', '', '')`,
    );
    expect(await examined('key ring')).toEqual([expect.stringMatching(/^ok/)]);
  });

  it('says that the server gives fewer connections than the process takes', async () => {
    const lines = await examined('connections', { ALIKASSA_CONCURRENCY: '5000' });
    expect(lines).toEqual(fails(/at most \d+ connections, .* up to 5012; raise max_connections/));
  });

  it('warns where no address for notifications is set, or nobody answers there', async () => {
    expect(await examined('notifications', { ALIKASSA_NOTIFICATION_URL: '' })).toEqual(warns(/polling/));
    const silent = await examined('notifications', { ALIKASSA_NOTIFICATION_URL: `${nobody}/alikassa/notifications` });
    expect(silent).toEqual(warns(/nobody answers .*ECONNREFUSED/));
  });

  it('says that the address for notifications has a wrong path, whether somebody answers there or not', async () => {
    const wrong = String(env['ALIKASSA_NOTIFICATION_URL']).replace('notifications', 'notify');
    expect(await examined('notifications', { ALIKASSA_NOTIFICATION_URL: wrong })).toEqual(fails(/404; mend its path/));
    const silent = await examined('notifications', { ALIKASSA_NOTIFICATION_URL: `${nobody}/notify` });
    expect(silent).toEqual(fails(/ends in another path than \/alikassa\/notifications/));
  });

  it('says that the provider cannot reach an address of this machine alone', async () => {
    const lines = await examined('notifications', { ALIKASSA_BASE_URL: 'https://alikassa.invalid' });
    expect(lines).toEqual(fails(/an address of this machine alone/));
  });

  it('warns of an address for notifications that is not https', async () => {
    const lines = await examined('notifications', {
      ALIKASSA_NOTIFICATION_URL: 'http://shop.invalid/alikassa/notifications',
    });
    expect(lines[0]).toMatch(/^warn .*is not https/);
  });

  it.each<[what: string, status: number, words: RegExp]>([
    ['redirects', 302, /redirects \(302\)/],
    ['asks for a token', 401, /exempt \/alikassa\/notifications from authentication/],
    ['belongs to another service', 200, /not by this service/],
    ['is broken', 502, /look at the service and its proxy/],
  ])('says that the address for notifications %s', async (_, status, words) => {
    const lines = await withServer(
      (__, response) => response.writeHead(status, { location: '/elsewhere' }).end('{}'),
      (url) => examined('notifications', { ALIKASSA_NOTIFICATION_URL: url }),
    );
    expect(lines).toEqual(fails(words));
  });

  it('says that a form arrives without its body, as behind a missing body parser', async () => {
    const body = { statusCode: 400, message: 'type is missing', error: 'Bad Request', code: 'notification_malformed' };
    const lines = await withServer(
      (_, response) => response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (url) => examined('notifications', { ALIKASSA_NOTIFICATION_URL: url }),
    );
    expect(lines).toEqual(fails(/a POST form does not arrive whole/));
  });

  it('shows no key, passphrase or database password', async () => {
    const { out, err } = await alikassa(['doctor'], { ...env, ALIKASSA_PRIVATE_KEY_PASSWORD: 'a-wrong-passphrase' });
    const { password } = new URL(String(env['DATABASE_URL']));
    for (const secret of [
      'a-wrong-passphrase',
      'PRIVATE KEY',
      String(env['ALIKASSA_ENCRYPTION_KEYS']).slice(5),
      password,
    ]) {
      expect({ secret, isShown: secret !== '' && (out + err).includes(secret) }).toEqual({ secret, isShown: false });
    }
  });
});
