import { ConfigurableModuleBuilder, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import { mountNotificationController } from './notifications/notification.controller.js';
import { mountPayoutController } from './payouts/payout.controller.js';
import { ALIKASSA_DATA_SOURCE } from './payouts/payout.tokens.js';
import { instanceExports, instanceProviders, RAW_OPTIONS } from './alikassa.module-providers.js';
import { DEFAULT_INSTANCE, type AliKassaOptions } from './alikassa.options.js';

/** What shapes the module itself, given beside the options even where those come from a factory. */
export interface AliKassaModuleExtras {
  /**
   * Tells this instance of the module from the others in the application: 1 to 32 of `a-z`, `0-9`, `_` and `-`. It stands
   * in every row, so it must not change. What a named instance exports is injected by it: `@InjectPayoutService(name)`.
   * One instance may do without.
   */
  name?: string | undefined;
  /** Makes `PayoutService` injectable everywhere. Default false. */
  isGlobal?: boolean | undefined;
  /** `name` of the TypeORM DataSource that holds our tables, where it is not the host's default one. */
  dataSource?: string | undefined;
  /** Where the endpoints are mounted. Default `alikassa`; of a named instance `alikassa-` and its name. */
  prefix?: string | undefined;
  /**
   * Guards of the payout endpoints; without any they are not mounted, since they move money. What they leave as `name`,
   * `username`, `sub` or `id` on `request.user` stands in the events of every write as `actor`.
   */
  guards?: Type<CanActivate>[] | undefined;
  /** Modules that the guards need. */
  imports?: DynamicModule['imports'] | undefined;
}

/** Where the endpoints are mounted if the host does not say. */
export function defaultPrefix(instance: string): string {
  return instance === DEFAULT_INSTANCE ? 'alikassa' : `alikassa-${instance}`;
}

export const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<AliKassaOptions>({
  optionsInjectionToken: RAW_OPTIONS,
})
  .setClassMethodName('forRoot')
  .setExtras<AliKassaModuleExtras>(
    {},
    (
      definition,
      { name = DEFAULT_INSTANCE, isGlobal, dataSource, prefix = defaultPrefix(name), guards = [], imports },
    ) => ({
      ...definition,
      global: isGlobal ?? false,
      imports: [...(definition.imports ?? []), ...(imports ?? [])],
      providers: [
        ...(definition.providers ?? []),
        { provide: ALIKASSA_DATA_SOURCE, useExisting: getDataSourceToken(dataSource) },
        ...instanceProviders(name, prefix),
      ],
      exports: instanceExports(name),
      controllers: [
        mountNotificationController(prefix, name),
        ...(guards.length > 0 ? [mountPayoutController(prefix, guards, name)] : []),
      ],
    }),
  )
  .build();
