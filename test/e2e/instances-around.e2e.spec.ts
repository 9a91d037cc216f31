import type { CanActivate } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { describeAliKassa } from '../../src/openapi/index.js';
import type { PayoutService } from '../../src/payouts/payout.service.js';
import { getAliKassaToken, getPayoutServiceToken } from '../../src/payouts/payout.tokens.js';
import { PayoutHealthIndicator, providePayoutHealth } from '../../src/terminus/index.js';
import { AliKassaSimulator, AliKassaTestingModule } from '../../src/testing/index.js';
import { RUB } from '../helpers/application.js';
import { createTestDatabase } from '../helpers/database.js';
import { SECOND_ACCOUNT, startInstances, type TwoInstances } from '../helpers/instances.js';
import { LogLines } from '../helpers/log.lines.js';
import { forgedQuery, signedQuery } from '../helpers/notification.query.js';
import { exchange, requestText } from '../helpers/raw.http.js';
import { startTelemetry, type Telemetry } from '../helpers/telemetry.js';
import { eventually } from '../helpers/until.js';

/** Requests that came as far as the host's guards. */
let seen = 0;
class CountingGuard implements CanActivate {
  canActivate(): boolean {
    seen += 1;
    return true;
  }
}

describe('around two instances', () => {
  let telemetry: Telemetry;
  let host: TwoInstances;
  beforeAll(async () => {
    telemetry = startTelemetry();
    host = await startInstances({
      imports: [TerminusModule],
      first: { isGlobal: true },
      second: { isGlobal: true, worker: { enabled: false } },
      providers: [
        PayoutHealthIndicator,
        providePayoutHealth('second'),
        { provide: APP_GUARD, useClass: CountingGuard },
      ],
      logger: new LogLines(),
    });
  });
  afterAll(async () => {
    await host.stop();
    await telemetry.stop();
  });

  it('health is told of each by its own indicator', async () => {
    const of = (name?: string): PayoutHealthIndicator => host.app.get(getAliKassaToken(PayoutHealthIndicator, name));
    expect((await of().isHealthy('payouts')).payouts).toMatchObject({ status: 'up', engine: 'running' });
    expect((await of('second').isHealthy('payouts')).payouts).toMatchObject({ status: 'up', engine: 'off' });
  });

  it('gauges tell which instance they are of', async () => {
    await host.second.create();
    const all = await telemetry.metrics();
    const lags = all.get('alikassa.queue.lag')?.dataPoints.map(({ attributes }) => attributes);
    expect(lags).toEqual(
      ['default', 'second'].flatMap((instance) =>
        ['payouts', 'handlers'].map((queue) => ({ 'alikassa.instance': instance, 'alikassa.queue': queue })),
      ),
    );
    const queued = all
      .get('alikassa.payouts')
      ?.dataPoints.filter(({ attributes }) => attributes['alikassa.payout.status'] === 'queued')
      .map(({ attributes, value }) => [attributes['alikassa.instance'], attributes['alikassa.account'], value]);
    expect(queued).toContainEqual(['default', RUB, 0]);
    expect(queued).toContainEqual(['second', SECOND_ACCOUNT, expect.any(Number)]);
    expect(queued?.filter(([instance]) => instance === 'second')).toHaveLength(1);
  });

  it.each(['first', 'second'] as const)('the gate of the %s refuses a forgery before the framework', async (name) => {
    const { path, simulator } = host[name];
    const [port, account] = [host.around.port, name === 'first' ? RUB : SECOND_ACCOUNT];
    const send = async (query: string): Promise<number> =>
      (await exchange(port, requestText('GET', `${path}/notifications?${query}`))).status;
    expect(await send(signedQuery(simulator, { account }))).toBe(200);
    const before = seen;
    expect([await send(forgedQuery(simulator)), seen]).toEqual([403, before]);
    expect([await send(signedQuery(simulator, { account })), seen]).toEqual([200, before + 1]);
  });

  it('the OpenAPI document has every operation id once, each under the tag of its instance', () => {
    describeAliKassa();
    const document: OpenAPIObject = SwaggerModule.createDocument(host.app, new DocumentBuilder().build());
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods as Record<string, { operationId: string; tags: string[] }>).map((operation) => ({
        ...operation,
        path,
      })),
    );
    const ids = operations.map(({ operationId }) => operationId);
    expect([ids.length, new Set(ids).size]).toEqual([24, 24]);
    const [own, other] = ['/alikassa/', '/alikassa-second/'].map((prefix) =>
      operations
        .filter(({ path }) => path.startsWith(prefix))
        .map((one) => ({ ...one, path: one.path.slice(prefix.length) })),
    );
    expect(other).toEqual(
      own?.map(({ operationId, tags, ...rest }) => ({
        ...rest,
        operationId: `${operationId}_second`,
        tags: tags.map((tag) => `${tag}_second`),
      })),
    );
  });
});

it('AliKassaTestingModule simulates a named instance beside the other, on another DataSource', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: one.url, entities: alikassaEntities }),
      TypeOrmModule.forRoot({ name: 'other', type: 'postgres', url: two.url, entities: alikassaEntities }),
      AliKassaTestingModule.forRoot(),
      AliKassaTestingModule.forRoot({ name: 'second', dataSource: 'other' }),
    ],
  }).compile();
  const app = testing.createNestApplication({ logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  for (const [name, database] of [
    [undefined, one],
    ['second', two],
  ] as const) {
    const payouts = app.get<PayoutService>(getPayoutServiceToken(name));
    const simulator = app.get<AliKassaSimulator>(getAliKassaToken(AliKassaSimulator, name));
    const order = { order_id: 'A', amount: '5.00', number: '79005554455', service: 'qiwi_rub' };
    const { id } = await payouts.create(order);
    await eventually('it is paid', async () => (await payouts.find(id)).status === 'paid');
    await eventually('it is notified', () => simulator.notificationsSent === 1);
    const { rows } = await database.pool.query('SELECT id, instance FROM alikassa_payouts');
    expect(rows).toEqual([{ id, instance: name ?? 'default' }]);
  }
  await app.close();
  await Promise.all([one.drop(), two.drop()]);
});
