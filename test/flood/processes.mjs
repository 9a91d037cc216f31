import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrateUp } from '../../dist/src/app/database.js';
import { freePort } from '../../dist/src/app/free.port.js';
import { generateTestKeys } from '../../dist/src/testing/index.js';
import { ProcessGroup, said } from '../helpers/process.group.mjs';

export const ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b80';
const PATH = '/alikassa/notifications';

/** Postgres, the provider, one application and one flooder: each a process of its own, or several. */
export class Processes {
  group = new ProcessGroup('flood');

  /** @param connections that the flooder opens at most. @param isBeside whether it floods another server. */
  async start(connections, isBeside) {
    const server = await this.group.startPostgres('flood');
    await migrateUp(server.url, 'alikassa_worker');
    this.pool = new pg.Pool({ connectionString: server.url, max: 1 });
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
    const setup = { databaseUrl: server.url, port, options };
    this.application = this.fork('../helpers/host.process.mjs', 'ALIKASSA_TEST_HOST', setup);
    await said(this.application);
    this.url = `http://127.0.0.1:${port}`;
    const flooded = isBeside ? (await said(this.fork('sink.process.mjs', 'ALIKASSA_FLOOD_SINK', {}))).port : port;
    const target = { port: flooded, path: PATH, account: ACCOUNT, connections };
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
    await this.pool?.end();
    await this.group.end();
  }

  fork(file, name, setup) {
    return this.group.fork(new URL(file, import.meta.url), name, setup);
  }
}
