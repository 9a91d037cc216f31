import { randomUUID } from 'node:crypto';
import type { CanActivate, INestApplication, LoggerService, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { AliKassaModule, alikassaEntities } from '../../src/alikassa.module.js';
import type { AliKassaModuleExtras } from '../../src/alikassa.module-definition.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import type { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { PayoutService } from '../../src/payouts/payout.service.js';
import { getPayoutServiceToken } from '../../src/payouts/payout.tokens.js';
import type { AliKassaSimulator } from '../../src/testing/index.js';
import { prepare, RUB, type TestSurroundings } from './application.js';
import { payload } from './payload.js';
import { eventually } from './until.js';

/** The account of the second merchant. */
export const SECOND_ACCOUNT = '93d5df06-996c-48c3-9847-348d6b580b90';

/** One of the instances, and the provider that it pays through. */
export interface TestInstance {
  payouts: PayoutService;
  simulator: AliKassaSimulator;
  /** Of its endpoints. */
  path: string;
  /** Creates a payout of the instance's account. */
  create(changes?: Record<string, unknown>): Promise<Payout>;
  until(id: string, status: string): Promise<Payout>;
}

export interface TwoInstances {
  app: INestApplication<App>;
  first: TestInstance;
  second: TestInstance;
  around: TestSurroundings;
  http(): ReturnType<typeof request>;
  stop(): Promise<void>;
}

export interface InstancesSetup {
  /** Of both, beside what fits their simulators. */
  options?: Partial<AliKassaOptions>;
  first?: Partial<AliKassaOptions & AliKassaModuleExtras>;
  second?: Partial<AliKassaOptions & AliKassaModuleExtras>;
  /** The host's own. */
  imports?: ModuleMetadata['imports'];
  providers?: ModuleMetadata['providers'];
  logger?: LoggerService;
}

export class OpenGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

/** Two merchants with keys, accounts and a provider of their own, on one database. */
export async function prepareTwo(
  options: Partial<AliKassaOptions> = {},
): Promise<[TestSurroundings, TestSurroundings]> {
  const first = await prepare({ options });
  const accounts = [{ uuid: SECOND_ACCOUNT, currency: 'RUB' }];
  const notificationUrl = `http://127.0.0.1:${first.port}/alikassa-second/notifications`;
  const second = await prepare({
    database: first.database,
    simulator: { accounts, notificationUrl },
    options: { ...options, accounts, notificationUrl },
  });
  return [first, second];
}

/** One application with the module twice: without a name, and as `second`. */
export async function startInstances(setup: InstancesSetup = {}): Promise<TwoInstances> {
  const [one, two] = await prepareTwo(setup.options);
  const stop = async (): Promise<void> => {
    await two.simulator.stop();
    await one.stop();
  };
  try {
    const app = await startHost(setup, one, two);
    const instance = (name: string | undefined, { simulator }: TestSurroundings, account: string): TestInstance => {
      const payouts = app.get<PayoutService>(getPayoutServiceToken(name));
      return {
        payouts,
        simulator,
        path: name ? `/alikassa-${name}` : '/alikassa',
        create: (changes) => payouts.create(payoutOf(account, changes)),
        until: (id, status) =>
          eventually(`payout ${id} is ${status}`, async () => {
            const payout = await payouts.find(id);
            return payout.status === status && payout;
          }),
      };
    };
    return {
      app,
      first: instance(undefined, one, RUB),
      second: instance('second', two, SECOND_ACCOUNT),
      around: one,
      http: () => request(`http://127.0.0.1:${one.port}`),
      stop: async () => {
        await app.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function payoutOf(account: string, changes: Record<string, unknown> = {}): CreatePayoutDto {
  return payload({ account, order_id: randomUUID(), ...changes }) as never;
}

async function startHost(
  setup: InstancesSetup,
  one: TestSurroundings,
  two: TestSurroundings,
): Promise<INestApplication<App>> {
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: one.database.url, entities: alikassaEntities, retryAttempts: 0 }),
      ...(setup.imports ?? []),
      AliKassaModule.forRoot({ ...one.options, guards: [OpenGuard], ...setup.first }),
      AliKassaModule.forRootAsync({
        name: 'second',
        guards: [OpenGuard],
        ...setup.second,
        useFactory: () => ({ ...two.options, ...setup.second }),
      }),
    ],
    providers: setup.providers ?? [],
  }).compile();
  const app = testing.createNestApplication<INestApplication<App>>({ logger: setup.logger ?? ['error', 'warn'] });
  try {
    await app.listen(one.port, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}
