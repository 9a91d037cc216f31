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
const CONNECTIONS = 64;

/** Postgres, the provider, one application and one flooder, each a process of its own. */
export class Processes {
  children = [];

  async start() {
    this.folder = await mkdtemp(join(tmpdir(), 'alikassa-flood-'));
    // As root the server runs as another user, which must be able to reach its folder.
    await chmod(this.folder, 0o711);
    this.server = await startEmbeddedPostgres({ folder: this.folder, database: 'flood' });
    await migrateUp(this.server.url, 'alikassa_worker');
    this.pool = new pg.Pool({ connectionString: this.server.url, max: 1 });
    const [keys, port] = [await generateTestKeys(), await freePort()];
    const accounts = [{ uuid: ACCOUNT, currency: 'RUB', balance: '100000000.00' }];
    const notificationUrl = `http://127.0.0.1:${port}${PATH}`;
    this.provider = this.fork('provider.process.mjs', 'FLOOD_PROVIDER', {
      payoutPublicKey: keys.payout.publicKey,
      notificationPrivateKey: keys.notification.privateKey,
      accounts,
      notificationUrl,
    });
    const { url } = await said(this.provider);
    const options = {
      accounts: accounts.map(({ uuid, currency }) => ({ uuid, currency })),
      privateKey: keys.payout.privateKey,
      passphrase: keys.payout.passphrase,
      notificationPublicKey: keys.notification.publicKey,
      baseUrl: url,
      encryptionKeys: [{ id: 'flood', key: randomBytes(32).toString('base64') }],
      notificationUrl,
    };
    const host = { databaseUrl: this.server.url, port, options };
    this.application = this.fork('../helpers/host.process.mjs', 'ALIKASSA_TEST_HOST', host);
    await said(this.application);
    this.url = `http://127.0.0.1:${port}`;
    const flooder = { port, path: PATH, account: ACCOUNT, connections: CONNECTIONS };
    this.flooder = this.fork('flooder.process.mjs', 'FLOOD_FLOODER', flooder);
    await said(this.flooder);
  }

  fork(file, name, setup) {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
      env: { PATH: process.env.PATH, [name]: JSON.stringify(setup) },
      execArgv: file.includes('host') && process.env.FLOOD_PROF ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof'] : [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.children.push(child);
    return child;
  }

  flood(rate) {
    this.flooder.send({ rate });
  }

  /** Ends the flood. @returns what came back. */
  async calm() {
    this.flooder.send({ rate: 0 });
    return said(this.flooder);
  }

  async end() {
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await this.pool?.end();
    await this.server?.stop();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

async function said(child) {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a process ended (${code})`);
  });
  ended.catch(() => undefined);
  const [message] = await Promise.race([once(child, 'message'), ended]);
  return message;
}
