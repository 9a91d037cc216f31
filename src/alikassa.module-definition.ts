import { ConfigurableModuleBuilder, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import { mountNotificationController } from './notifications/notification.controller.js';
import { mountPayoutController } from './payouts/payout.controller.js';
import { ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS } from './payouts/payout.tokens.js';
import type { AliKassaOptions } from './alikassa.options.js';

/** What shapes the module itself, given beside the options even where those come from a factory. */
export interface AliKassaModuleExtras {
  /** Makes `PayoutService` injectable everywhere. Default false. */
  isGlobal?: boolean;
  /** `name` of the TypeORM DataSource that holds our tables, where it is not the host's default one. */
  dataSource?: string;
  /** Where the endpoints are mounted. Default `alikassa`. */
  prefix?: string;
  /**
   * Guards of the payout endpoints; without any they are not mounted, since they move money. What they leave as `name`,
   * `username`, `sub` or `id` on `request.user` stands in the events of every write as `actor`.
   */
  guards?: Type<CanActivate>[];
  /** Modules that the guards need. */
  imports?: DynamicModule['imports'];
}

const DEFAULT_PREFIX = 'alikassa';

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<AliKassaOptions>({
  optionsInjectionToken: Symbol('ALIKASSA_RAW_OPTIONS'),
})
  .setClassMethodName('forRoot')
  .setExtras<AliKassaModuleExtras>(
    {},
    (definition, { isGlobal, dataSource, prefix = DEFAULT_PREFIX, guards = [], imports }) => ({
      ...definition,
      global: isGlobal ?? false,
      imports: [...(definition.imports ?? []), ...(imports ?? [])],
      providers: [
        ...(definition.providers ?? []),
        { provide: ALIKASSA_DATA_SOURCE, useExisting: getDataSourceToken(dataSource) },
      ],
      controllers: [
        mountNotificationController(prefix),
        ...(guards.length > 0 ? [mountPayoutController(prefix, guards)] : []),
      ],
    }),
  )
  .build();

export { ALIKASSA_OPTIONS };
