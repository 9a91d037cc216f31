import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AliKassaModule } from '../alikassa.module.js';
import { defaultPrefix, type AliKassaModuleExtras } from '../alikassa.module-definition.js';
import { DEFAULT_INSTANCE } from '../alikassa.options.js';
import { getAliKassaToken } from '../payouts/payout.tokens.js';
import { startAliKassa, TEST_ACCOUNT, type Simulation, type SimulationSetup } from './simulation.js';
import { AliKassaSimulator } from './simulator.js';

/** What `AliKassaTestingModule` may be told; everything has a default. */
export interface AliKassaTestingOptions extends SimulationSetup, AliKassaModuleExtras {
  /**
   * Where the application takes notifications, if it listens. Default: `notifications` under `prefix`; a host with a
   * global prefix says here what the provider would call, e.g. `/api/alikassa/notifications`.
   */
  notificationPath?: string;
}

const SIMULATION = Symbol('ALIKASSA_SIMULATION');

/** Ends the simulator with the application, once the worker has finished what was in flight. */
class SimulationEnd implements OnApplicationShutdown {
  constructor(private readonly simulator: AliKassaSimulator) {}

  async onApplicationShutdown(): Promise<void> {
    await this.simulator.stop();
  }
}

/**
 * `AliKassaModule` for a test: pays out through a simulator of its own, with keys of its own, without network. The
 * simulator is injectable: `app.get(AliKassaSimulator)`; that of a named instance, which has an account of its own, by
 * `getAliKassaToken(AliKassaSimulator, name)`. It needs a DataSource on Postgres, as the module itself does.
 */
@Module({})
export class AliKassaTestingModule {
  static forRoot(setup: AliKassaTestingOptions = {}): DynamicModule {
    const { options, simulator, keys, notificationPath, ...extras } = setup;
    const { name = DEFAULT_INSTANCE } = extras;
    const path = notificationPath ?? `/${extras.prefix ?? defaultPrefix(name)}/notifications`;
    const simulatorToken = getAliKassaToken(AliKassaSimulator, name);
    // Instances share no account.
    const account = name === DEFAULT_INSTANCE ? TEST_ACCOUNT : { ...TEST_ACCOUNT, uuid: randomUUID() };
    const simulation: DynamicModule = {
      module: class AliKassaSimulationModule {},
      providers: [
        {
          provide: SIMULATION,
          inject: [HttpAdapterHost],
          useFactory: async (host: HttpAdapterHost) =>
            startAliKassa({
              options: { accounts: [account], ...options },
              keys,
              simulator: { notificationUrl: () => addressOf(host, path), ...simulator },
            }),
        },
        { provide: simulatorToken, inject: [SIMULATION], useFactory: (started: Simulation) => started.simulator },
        {
          provide: SimulationEnd,
          inject: [simulatorToken],
          useFactory: (started: AliKassaSimulator) => new SimulationEnd(started),
        },
      ],
      exports: [SIMULATION, simulatorToken],
    };
    const alikassa = AliKassaModule.forRootAsync({
      ...extras,
      imports: [...(extras.imports ?? []), simulation],
      inject: [SIMULATION],
      useFactory: (started: Simulation) => started.options,
    });
    return { module: AliKassaTestingModule, imports: [simulation, alikassa], exports: [simulation, alikassa] };
  }
}

/** Known once the application listens; until then polling settles the payouts. */
function addressOf({ httpAdapter }: HttpAdapterHost, path: string): string | undefined {
  const server = httpAdapter?.getHttpServer() as Server | undefined;
  const address = server?.address() as AddressInfo | null | undefined;
  if (!address) return undefined;
  const host = address.address.replace(/^(?:::|0\.0\.0\.0)$/, 'localhost');
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}${path}`;
}
