import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrateUp } from '../dist/src/app/database.js';
import { freePort } from '../dist/src/app/free.port.js';
import { generateTestKeys } from '../dist/src/testing/index.js';
import { ProcessGroup, said } from '../test/helpers/process.group.mjs';

export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
export const WORKER_SCHEMA = 'alikassa_worker';
const PREFIX = '/alikassa';
const SETUP = 'ALIKASSA_BENCH';

/** What one part runs on: a Postgres with its defaults, and every other program as a process of its own. */
export class Stage {
  pools = [];
  token = randomBytes(24).toString('base64url');

  /** @param {{ profile?: string }} options `profile`: a folder for CPU profiles of the applications. */
  constructor({ profile } = {}) {
    this.profile = profile;
    this.group = new ProcessGroup('bench');
  }

  /** @param {{ inspected?: boolean }} options `inspected`: statements are counted, commits carry their time. */
  async open({ inspected = false } = {}) {
    this.keys = await generateTestKeys();
    await this.group.startPostgres('bench');
    if (inspected) await this.inspect();
    return this;
  }

  async inspect() {
    const client = new pg.Client({ connectionString: this.group.server.url });
    await client.connect();
    await client.query("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
    await client.query('ALTER SYSTEM SET track_commit_timestamp = on');
    await client.end();
    await this.group.server.stop();
    await this.group.startPostgres('bench');
  }

  /** A new database on the server. @returns its URL, and a pool of one connection for the bench's own questions. */
  async database(name) {
    const admin = new pg.Client({ connectionString: this.group.server.url });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${name}`);
    await admin.end();
    const url = new URL(this.group.server.url);
    url.pathname = `/${name}`;
    const pool = new pg.Pool({ connectionString: url.href, max: 1, application_name: 'bench' });
    pool.on('error', () => undefined);
    this.pools.push(pool);
    return { url: url.href, pool };
  }

  /** A new database with the module's tables. */
  async migratedDatabase(name) {
    const database = await this.database(name);
    await migrateUp(database.url, WORKER_SCHEMA);
    return database;
  }

  /**
   * The reference application, as `npm start` runs it, on the built package.
   * @param {object} options `worker` and `environment` are all that differs from its defaults.
   */
  async application({ database, baseUrl = 'http://127.0.0.1:9', worker, environment = {}, cannotProfile = false }) {
    const port = await freePort();
    const environmentOfApplication = {
      PORT: String(port),
      DATABASE_URL: database.url,
      ALIKASSA_BASE_URL: baseUrl,
      ALIKASSA_NOTIFICATION_URL: `http://127.0.0.1:${port}${PREFIX}/notifications`,
      ALIKASSA_ACCOUNTS: `RUB:${ACCOUNT}`,
      ALIKASSA_PRIVATE_KEY: this.keys.payout.privateKey,
      ALIKASSA_PRIVATE_KEY_PASSWORD: this.keys.payout.passphrase,
      ALIKASSA_NOTIFICATION_PUBLIC_KEY: this.keys.notification.publicKey,
      ALIKASSA_ENCRYPTION_KEYS: `bench:${(this.encryptionKey ??= randomBytes(32).toString('base64'))}`,
      ALIKASSA_API_TOKENS: `bench:payouts:create+payouts:read+payouts:operate:${sha256(this.token)}`,
      ...environment,
    };
    const setup = { environment: environmentOfApplication, worker };
    const process = this.fork('processes/application.process.mjs', setup, this.profiling(cannotProfile));
    await said(process);
    return this.served('ours', process, port, PREFIX);
  }

  /** One of the programs that ours is held against: a file of `rivals`. */
  async rival(file, { database, ...setup }) {
    const port = await freePort();
    const process = this.fork(`rivals/${file}`, {
      port,
      databaseUrl: database.url,
      notificationUrl: `http://127.0.0.1:${port}/notifications`,
      account: ACCOUNT,
      keys: this.keys,
      ...setup,
    });
    await said(process);
    return this.served('bare', process, port, '');
  }

  /** The provider: one for both sides. */
  async provider({ latencyMs = 20, settleAfterMs = 50 } = {}) {
    const process = this.fork('processes/provider.process.mjs', { keys: this.keys, latencyMs, settleAfterMs });
    const { url } = await said(process);
    return { process, url, ask: (message) => asked(process, message) };
  }

  /** The load generator: one for both sides. */
  async load() {
    const process = this.fork('processes/load.process.mjs', { token: this.token, account: ACCOUNT });
    await said(process);
    return { process, ask: (message) => asked(process, message) };
  }

  fork(file, setup, options) {
    return this.group.fork(new URL(file, import.meta.url), SETUP, setup, options);
  }

  async end() {
    await this.group.end();
    // A question that is under way has failed with the server.
    await Promise.all(this.pools.map((pool) => pool.end()));
  }

  served(side, process, port, prefix) {
    const url = `http://127.0.0.1:${port}${prefix}`;
    return { side, process, url, payouts: `${url}/payouts`, notifications: `${url}/notifications` };
  }

  profiling(cannotProfile) {
    if (!this.profile || cannotProfile) return {};
    return { execArgv: ['--cpu-prof', '--cpu-prof-dir', this.profile] };
  }
}

/** Runs `work` on a stage of its own, and leaves nothing behind. */
export async function onStage(options, work) {
  const stage = new Stage(options);
  const { signal } = options;
  const end = new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([stage.open(options).then(() => work(stage)), end]);
  } finally {
    await stage.end();
  }
}

/** One question, one answer. */
async function asked(process, message) {
  const answer = said(process);
  process.send(message);
  return answer;
}

function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}
