import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { alikassaEntities, PayoutService } from '../../src/index.js';
import { AliKassaSimulator, AliKassaTestingModule, type AliKassaTestingOptions } from '../../src/testing/index.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { until } from '../helpers/until.js';

let database: TestDatabase;
let app: INestApplication | undefined;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await app?.close();
  await database.drop();
});

async function start(setup?: AliKassaTestingOptions) {
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: alikassaEntities, retryAttempts: 0 }),
      AliKassaTestingModule.forRoot(setup),
    ],
  }).compile();
  const started = testing.createNestApplication({ logger: ['error', 'warn'] });
  app = started;
  return { app: started, payouts: testing.get(PayoutService), simulator: testing.get(AliKassaSimulator) };
}
const order = (order_id: string) => ({ order_id, amount: '5.00', number: '79005554455', service: 'qiwi_rub' });
const HOUR = 3_600_000;

describe('AliKassaTestingModule', () => {
  it('pays out without anything given, and without an application that listens', async () => {
    const { app: host, payouts, simulator } = await start();
    await host.init();
    const { id } = await payouts.create(order('A'));
    await until(async () => (await payouts.find(id)).status === 'paid');
    expect([simulator.accepted('A'), simulator.notificationsSent]).toEqual([1, 0]);
  });

  it.each([
    ['under the usual prefix', {}, ''],
    ['under a prefix of its own', { prefix: 'money/out' }, ''],
    ['under a global prefix that was named', { notificationPath: '/api/alikassa/notifications' }, 'api'],
  ])('notifies the application, once it listens: %s', async (_where, setup, globalPrefix) => {
    // Only a notification can end it within the hour.
    const { app: host, payouts } = await start({ ...setup, options: { checkSchedule: [HOUR] } });
    if (globalPrefix) host.setGlobalPrefix(globalPrefix);
    await host.listen(0);
    const { id } = await payouts.create(order('A'));
    await until(async () => (await payouts.find(id)).status === 'paid');
    expect((await payouts.events(id)).at(-1)?.type).toBe('notification');
  });

  it('simulates the accounts that the options name', async () => {
    const accounts = [{ uuid: '93d5df06-996c-48c3-9847-348d6b580b80', currency: 'KZT' }];
    const { app: host, payouts } = await start({ options: { accounts } });
    await host.init();
    expect((await payouts.balance()).currency).toBe('KZT');
  });

  it('ends the simulator with the application', async () => {
    const { app: host, simulator } = await start();
    await host.init();
    const { url } = simulator;
    await host.close();
    app = undefined;
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });
});
