import type { INestApplicationContext } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { alikassaEntities, PayoutService } from 'nestjs-alikassa';
import { alikassaMigrations } from 'nestjs-alikassa/migrations';
import { AliKassaSimulator, AliKassaTestingModule, startPostgres } from 'nestjs-alikassa/testing';
import { Balance, CreateWithdrawals1700000000000, Credit, Withdrawal } from './withdrawal.tables.js';
import { Withdrawals } from './withdrawals.js';

let postgres: Awaited<ReturnType<typeof startPostgres>>;
let app: INestApplicationContext;
let simulator: AliKassaSimulator;

beforeAll(async () => {
  postgres = await startPostgres(); // Or the url of the Postgres that your tests have already.
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({
        type: 'postgres',
        url: postgres.url,
        entities: [...alikassaEntities, Balance, Withdrawal, Credit],
        migrations: [...alikassaMigrations, CreateWithdrawals1700000000000],
        migrationsRun: true,
      }),
      AliKassaTestingModule.forRoot(), // In place of AliKassaModule.forRoot({...}).
    ],
    providers: [Withdrawals],
  }).compile();
  app = await testing.init();
  simulator = app.get(AliKassaSimulator);
  await app.get(DataSource).getRepository(Balance).insert({ userId: 'ann', amount: '1000' });
});
afterAll(async () => {
  await app.close();
  await postgres.stop();
});

const withdraw = (orderId: string) =>
  app.get(Withdrawals).withdraw({ orderId, userId: 'ann', amount: '300.00', number: '4111111111111111' });
const balance = async () =>
  (await app.get(DataSource).getRepository(Balance).findOneByOrFail({ userId: 'ann' })).amount;

/** Polls a fact until it is as expected. */
async function eventually(fact: () => Promise<unknown>, expected: unknown): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end && (await fact()) !== expected;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await fact()).toBe(expected);
}
const status = (id: string) => async () => (await app.get(PayoutService).find(id)).status;

it('keeps the debit of a payout that is paid', async () => {
  const { id } = await withdraw('A-1');
  await eventually(status(id), 'paid');
  expect(await balance()).toBe('700.00');
});

it('gives the money back when the provider refuses', async () => {
  simulator.nextPayout({ orderId: 'A-2' }).isRefused({ number: ['The card is blocked.'] });
  const { id } = await withdraw('A-2');
  await eventually(status(id), 'rejected');
  await eventually(balance, '700.00');
});

it('neither pays twice nor gives back while nobody knows what became of it', async () => {
  simulator.nextPayout({ orderId: 'A-3' }).isDropped('after').staysWaiting();
  const { id } = await withdraw('A-3');
  await eventually(status(id), 'wait');
  expect([simulator.accepted('A-3'), await balance()]).toEqual([1, '400.00']);
  await simulator.settle('A-3', 'fail');
  await eventually(status(id), 'fail');
  await eventually(balance, '700.00');
});
