import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import request from 'supertest';
import { DataSource } from 'typeorm';
import type { INestApplication } from '@nestjs/common';
import type { App } from 'supertest/types.js';
import { ConfigurationError } from '../../src/alikassa.errors.js';
import { AliKassaModule, alikassaEntities } from '../../src/alikassa.module.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import { generateTestKeys } from '../../src/testing/index.js';
import { RUB, startApplication } from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { unprotected } from '../helpers/unprotected.js';

async function optionsWith(changes: Partial<AliKassaOptions> = {}): Promise<AliKassaOptions> {
  const keys = await generateTestKeys();
  return {
    accounts: [{ uuid: RUB, currency: 'RUB' }],
    privateKey: keys.payout.privateKey,
    passphrase: keys.payout.passphrase,
    notificationPublicKey: keys.notification.publicKey,
    encryptionKeys: [{ id: 'k', key: Buffer.alloc(32, 1) }],
    worker: { enabled: false },
    ...changes,
  };
}

describe('AliKassaModule', () => {
  it('mounts no endpoint that moves money without guards, but the notifications, under the prefix', async () => {
    const database = await createTestDatabase();
    const options = await optionsWith();
    const testing = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: alikassaEntities }),
        AliKassaModule.forRootAsync({ prefix: 'money/out', useFactory: () => options }),
      ],
    }).compile();
    const app = testing.createNestApplication<INestApplication<App>>({ logger: false });
    await app.init();
    const http = request(app.getHttpServer());
    const id = '93d5df06-996c-48c3-9847-348d6b580b80';
    const posts = ['', `/${id}/refresh`, `/${id}/withdraw`, `/${id}/resolve`].map((path) => `payouts${path}`);
    const gets = ['payouts', `payouts/${id}`, `payouts/${id}/events`, 'balance', 'account'];
    for (const path of posts) {
      expect((await http.post(`/money/out/${path}`).send({})).body).toMatchObject({
        message: `Cannot POST /money/out/${path}`,
      });
    }
    for (const path of gets) {
      expect((await http.get(`/money/out/${path}`)).body).toMatchObject({ message: `Cannot GET /money/out/${path}` });
    }
    await http.get('/money/out/notifications').expect(400);
    await app.close();
    await database.drop();
  });

  it.each<[string, Partial<AliKassaOptions>]>([
    ['accounts', { accounts: [] }],
    [
      'accounts',
      {
        accounts: [
          { uuid: RUB, currency: 'RUB' },
          { uuid: RUB.toUpperCase(), currency: 'EUR' },
        ],
      },
    ],
    ['accounts', { accounts: [{ uuid: 'x', currency: 'RUB' }] }],
    ['baseUrl', { baseUrl: 'http://example.com' }],
    ['baseUrl', { baseUrl: 'https://user:pw@example.com' }],
    ['encryptionKeys', { encryptionKeys: [] }],
    ['encryptionKeys', { encryptionKeys: [{ id: 'k', key: Buffer.alloc(16) }] }],
    ['leaseMs', { leaseMs: 30_000 }],
    ['checkSchedule', { checkSchedule: [] }],
    ['passphrase', { passphrase: 'wrong' }],
    ['notificationUrl', { notificationUrl: `https://example.com/${'x'.repeat(255)}` }],
    ['worker.schema', { worker: { schema: 'x"; DROP' } }],
  ])('does not start with a wrong %s', async (setting, changes) => {
    // Never connected: the options are looked at before the database is.
    const dataSource = {
      provide: DataSource,
      useValue: new DataSource({ type: 'postgres', entities: alikassaEntities }),
    };
    const database = { module: class Database {}, global: true, providers: [dataSource], exports: [DataSource] };
    const options = await optionsWith(changes);
    const start = Test.createTestingModule({ imports: [database, AliKassaModule.forRoot(options)] }).compile();
    await expect(start).rejects.toThrow(expect.objectContaining({ setting, name: ConfigurationError.name }));
  });
});

describe('the sweep', () => {
  it('makes a payout whose worker died unknown, and the status call then ends it', async () => {
    const host = await startApplication();
    const payload = { account: RUB, amount: '3.04', number: '79005554455', order_id: 'swept', service: 'qiwi_rub' };
    const { id } = await host.payouts.create(payload);
    await host.until(id, 'wait');
    // What a process leaves behind that is killed after its request went out: the provider has the payout, we do not know.
    await unprotected(
      host.database.pool,
      `UPDATE alikassa_payouts SET status = 'sending', provider_id = NULL, lease_until = clock_timestamp(), due_at = NULL,
         revision = revision + 1 WHERE id = $1`,
      [id],
    );
    await host.until(id, 'wait');
    const types = (await host.payouts.events(id)).map(({ type, toStatus }) => `${type} ${toStatus}`);
    expect(types.slice(-2)).toEqual(['lease_expired unknown', 'check wait']);
    expect(host.simulator.accepted('swept')).toBe(1);
    await host.stop();
  });

  it('sends a payout whose job was lost', async () => {
    const host = await startApplication({ options: { worker: { sweepIntervalMs: 200 } } });
    await host.database.pool.query('ALTER TABLE alikassa_worker._private_jobs DISABLE TRIGGER ALL');
    const lost = `CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER lose BEFORE INSERT ON alikassa_worker._private_jobs FOR EACH ROW
      WHEN (NEW.key LIKE 'alikassa_submit:%') EXECUTE FUNCTION lose()`;
    await host.database.pool.query(lost);
    const payload = { account: RUB, amount: '3.00', number: '79005554455', order_id: 'lost', service: 'qiwi_rub' };
    const { id } = await host.payouts.create(payload);
    await host.database.pool.query('DROP TRIGGER lose ON alikassa_worker._private_jobs');
    await host.database.pool.query('ALTER TABLE alikassa_worker._private_jobs ENABLE TRIGGER ALL');
    await host.until(id, 'paid');
    expect(host.simulator.accepted('lost')).toBe(1);
    await host.stop();
  });
});
