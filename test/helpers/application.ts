import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CanActivate, ExecutionContext, INestApplication, LoggerService, Provider, Type } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import type { DataSourceOptions } from 'typeorm';
import { freePort } from '../../src/app/free.port.js';
import { AliKassaModule, alikassaEntities } from '../../src/alikassa.module.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import type { PayoutDto, PayoutEventDto } from '../../src/payouts/payout.dto.js';
import { PayoutService } from '../../src/payouts/payout.service.js';
import { AliKassaSimulator, generateTestKeys, type SimulatorOptions, type TestKeys } from '../../src/testing/index.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { refuseSecondSubmissions } from './submissions.js';

export const RUB = '93d5df06-996c-48c3-9847-348d6b580b80';
export const EUR = '93d5df06-996c-48c3-9847-348d6b580b81';

/** Lets everyone in, as a named user: who may come in is the host's business. */
class NamedUserGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    context.switchToHttp().getRequest<{ user: object }>().user = { name: 'tester' };
    return true;
  }
}

export interface TestApplication {
  app: INestApplication<App>;
  payouts: PayoutService;
  simulator: AliKassaSimulator;
  database: TestDatabase;
  options: AliKassaOptions;
  /** supertest on the running server. */
  http(): ReturnType<typeof request>;
  /** Waits until the payout has the status; fails with its history otherwise. */
  until(id: string, status: string): Promise<PayoutDto>;
  stop(): Promise<void>;
}

export type PostgresSettings = Extract<DataSourceOptions, { type: 'postgres' }>;

export interface TestSetup {
  options?: Partial<AliKassaOptions>;
  simulator?: Partial<SimulatorOptions>;
  /** Instead of new ones. */
  keys?: TestKeys;
  /** Instead of a new one on the server that all tests share; `stop()` drops it too. */
  database?: TestDatabase;
  /** Settings of the application's DataSource beside its URL, or in place of it. */
  dataSource?: Partial<PostgresSettings>;
  /** Nest's log, as lines; by default warnings and errors go to the console. */
  logger?: LoggerService;
  /** The host's HTTP framework; default Express. */
  adapter?: AbstractHttpAdapter;
  /** The host's own, e.g. with handlers. */
  providers?: Provider[];
  controllers?: Type[];
  imports?: Type[];
  /** Another application's, to run beside it on the same database; whoever made them stops them. */
  surroundings?: TestSurroundings;
  /** With other surroundings: where to listen; default a free port. Their own is where the notifications go. */
  port?: number;
}

/** What an application needs around it: a database and a simulator of its own, keys, and options that fit them. */
export interface TestSurroundings {
  database: TestDatabase;
  simulator: AliKassaSimulator;
  options: AliKassaOptions;
  /** Where notifications go to; the application should listen there. */
  port: number;
  /** @throws Error if an order was submitted twice. */
  stop: () => Promise<void>;
}

export async function prepare(setup: TestSetup = {}): Promise<TestSurroundings> {
  const [database, keys, port] = await Promise.all([
    setup.database ?? createTestDatabase(),
    setup.keys ?? generateTestKeys(),
    freePort(),
  ]);
  const accounts = [
    { uuid: RUB, currency: 'RUB' },
    { uuid: EUR, currency: 'EUR' },
  ];
  const simulator = await new AliKassaSimulator({
    payoutPublicKey: keys.payout.publicKey,
    notificationPrivateKey: keys.notification.privateKey,
    accounts,
    notificationUrl: `http://127.0.0.1:${port}/alikassa/notifications`,
    ...setup.simulator,
  }).start();
  const options: AliKassaOptions = {
    accounts,
    privateKey: keys.payout.privateKey,
    passphrase: keys.payout.passphrase,
    notificationPublicKey: keys.notification.publicKey,
    baseUrl: simulator.url,
    encryptionKeys: [{ id: 'test', key: randomBytes(32).toString('base64') }],
    notificationUrl: `http://127.0.0.1:${port}/alikassa/notifications`,
    timeoutMs: 2_000,
    leaseMs: 4_000,
    checkSchedule: [200, 400],
    rejectAfterMs: 500,
    worker: { sweepIntervalMs: 500 },
    ...setup.options,
  };
  const stop = async (): Promise<void> => {
    await simulator.stop();
    try {
      await refuseSecondSubmissions(simulator, database);
    } finally {
      await database.drop();
    }
  };
  return { database, simulator, options, port, stop };
}

/** A whole application on a database of its own, against a simulator of its own, with keys of its own. */
export async function startApplication(setup: TestSetup = {}): Promise<TestApplication> {
  const surroundings = setup.surroundings ?? (await prepare(setup));
  const { database, simulator } = surroundings;
  const port = setup.surroundings ? (setup.port ?? (await freePort())) : surroundings.port;
  const options = setup.surroundings ? { ...surroundings.options, ...setup.options } : surroundings.options;
  const testing = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRoot({
        type: 'postgres',
        url: database.url,
        entities: alikassaEntities,
        retryAttempts: 0,
        ...setup.dataSource,
      }),
      AliKassaModule.forRoot({ ...options, guards: [NamedUserGuard] }),
      ...(setup.imports ?? []),
    ],
    providers: setup.providers ?? [],
    controllers: setup.controllers ?? [],
  }).compile();
  const app = testing.createNestApplication<INestApplication<App>>(setup.adapter ?? new ExpressAdapter(), {
    logger: setup.logger ?? ['error', 'warn'],
  });
  try {
    await app.listen(port, '127.0.0.1');
  } catch (error) {
    await app.close();
    throw error;
  }
  const payouts = app.get(PayoutService);
  const http = (): ReturnType<typeof request> => request(`http://127.0.0.1:${port}`);
  return {
    app,
    payouts,
    simulator,
    database,
    options,
    http,
    until: (id, status) => untilStatus(http, id, status),
    stop: async () => {
      await app.close();
      if (!setup.surroundings) await surroundings.stop();
    },
  };
}

async function untilStatus(http: () => ReturnType<typeof request>, id: string, status: string): Promise<PayoutDto> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const { body } = (await http().get(`/alikassa/payouts/${id}`)) as { body: PayoutDto };
    if (body.status === status) return body;
    if (Date.now() > deadline) {
      const events = (await http().get(`/alikassa/payouts/${id}/events`)) as { body: { data: PayoutEventDto[] } };
      throw new Error(`Payout is ${body.status}, not ${status}: ${JSON.stringify(events.body.data, null, 1)}`);
    }
    await sleep(20);
  }
}
