import { randomBytes } from 'node:crypto';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { migrateUp } from '../../dist/src/app/database.js';
import { startEmbeddedPostgres } from '../../dist/src/app/embedded-postgres.js';
import { freePort } from '../../dist/src/app/free.port.js';
import { generateTestKeys } from '../../dist/src/testing/index.js';

export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const PATH = '/alikassa/notifications';
const CONNECTIONS = 256;

/** Postgres, the provider, one application and one flooder: each a process of its own, or several. */
export class Processes {
  children = [];

  async start() {
    this.folder = await mkdtemp(join(tmpdir(), 'alikassa-flood-'));
    // As root the server runs as another user, which must be able to reach its folder.
    await chmod(this.folder, 0o711);
    this.server = await startEmbeddedPostgres({ folder: this.folder, database: 'flood' });
    await migrateUp(this.server.url, 'alikassa_worker');
    this.pool = new pg.Pool({ connectionString: this.server.url, max: 1 });
    this.pool.on('error', () => undefined);
    const [keys, port] = [await generateTestKeys(), await freePort()];
    const account = { uuid: ACCOUNT, currency: 'RUB' };
    const notificationUrl = `http://127.0.0.1:${port}${PATH}`;
    this.provider = this.fork('provider.process.mjs', 'ALIKASSA_FLOOD_PROVIDER', {
      payoutPublicKey: keys.payout.publicKey,
      notificationPrivateKey: keys.notification.privateKey,
      accounts: [{ ...account, balance: '100000000.00' }],
      // A notification that is turned away does not come again: nothing is documented of repeats.
      notificationRetries: 0,
    });
    const { url } = await said(this.provider);
    const options = {
      accounts: [account],
      privateKey: keys.payout.privateKey,
      passphrase: keys.payout.passphrase,
      notificationPublicKey: keys.notification.publicKey,
      baseUrl: url,
      encryptionKeys: [{ id: 'flood', key: randomBytes(32).toString('base64') }],
      notificationUrl,
    };
    const setup = { databaseUrl: this.server.url, port, options };
    this.application = this.fork('../helpers/host.process.mjs', 'ALIKASSA_TEST_HOST', setup);
    await said(this.application);
    this.url = `http://127.0.0.1:${port}`;
    const target = { port, path: PATH, account: ACCOUNT, connections: CONNECTIONS };
    this.flooder = this.fork('flooder.process.mjs', 'ALIKASSA_FLOOD_FLOODER', target);
    await said(this.flooder);
  }

  flood(rate) {
    this.flooder.send({ rate });
  }

  /** Ends the flood. @returns what was sent and what came back. */
  async calm() {
    this.flooder.send({ rate: 0 });
    return said(this.flooder);
  }

  /** Leaves no process behind, whatever has happened. */
  async end() {
    for (const child of this.children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await this.pool?.end();
    await this.server?.stop();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }

  fork(file, name, setup) {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
      env: { PATH: process.env.PATH, [name]: JSON.stringify(setup) },
      execArgv: [],
      // The application's log holds what it refuses; the run shows that itself.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.children.push(child);
    return child;
  }
}

/** What the process says next. @throws Error if it ends instead. */
async function said(child) {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([message]) => message),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`a process ended with ${code}: ${child.spawnargs.at(-1)}`);
      }),
    ]);
  } finally {
    stop.abort();
  }
}
