import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule, alikassaEntities } from '../../src/alikassa.module.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { PayoutService } from '../../src/payouts/payout.service.js';
import { prepare, RUB } from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { payload } from '../helpers/payload.js';
import { eventually } from '../helpers/until.js';

it('pays out from the DataSource that `dataSource` names, in a host with another one', async () => {
  const [around, other] = await Promise.all([prepare(), createTestDatabase()]);
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: other.url, entities: alikassaEntities }),
      TypeOrmModule.forRoot({
        name: 'payments',
        type: 'postgres',
        url: around.database.url,
        entities: alikassaEntities,
      }),
      AliKassaModule.forRootAsync({ dataSource: 'payments', useFactory: () => around.options }),
    ],
  }).compile();
  const app = testing.createNestApplication({ logger: ['error', 'warn'] });
  await app.listen(around.port, '127.0.0.1');
  const payouts = app.get(PayoutService);
  const { id } = await payouts.create(payload() as never);
  await eventually('it is paid', async () => (await payouts.find(id)).status === 'paid');
  expect((await around.database.pool.query('SELECT id FROM alikassa_payouts')).rows).toEqual([{ id }]);
  expect((await other.pool.query('SELECT id FROM alikassa_payouts')).rows).toEqual([]);
  const waiting = await payouts.create(payload({ amount: '12.04' }) as never);
  await eventually('it waits', async () => (await payouts.find(waiting.id)).status === 'wait');
  const { open } = await app.get(PayoutOverview).read();
  expect(open.filter(({ count }) => count > 0)).toEqual([{ account: RUB, status: 'wait', count: 1 }]);
  await app.close();
  await around.stop();
  await other.drop();
});
