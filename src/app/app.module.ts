import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule } from '../alikassa.module.js';
import type { AppConfig } from './app.config.js';
import { dataSourceOptions } from './database.js';
import { API_TOKENS, TokenGuard } from './token.guard.js';

const APP = 'app';

/** The tokens that the guard accepts, for the modules whose endpoints it guards. */
@Module({
  providers: [
    {
      provide: API_TOKENS,
      inject: [ConfigService],
      useFactory: (config: ConfigService) => configOf(config).tokens,
    },
  ],
  exports: [API_TOKENS],
})
export class TokenModule {}

/** The reference application: one database, the payouts module, and its endpoints behind bearer tokens. */
@Module({})
export class AppModule {
  /** @param extras modules that serve more, e.g. health. */
  static forConfig(config: AppConfig, extras: Type[] = []): DynamicModule {
    return {
      module: AppModule,
      imports: [
        // `loadConfig` has read and checked the environment already; here its result becomes injectable.
        ConfigModule.forRoot({
          isGlobal: true,
          ignoreEnvFile: true,
          skipProcessEnv: true,
          load: [() => ({ [APP]: config })],
        }),
        TypeOrmModule.forRootAsync({
          inject: [ConfigService],
          useFactory: (service: ConfigService) => ({
            ...dataSourceOptions(configOf(service).databaseUrl),
            // A start against a missing database should say so now, not after half a minute.
            retryAttempts: 0,
          }),
        }),
        AliKassaModule.forRootAsync({
          isGlobal: true,
          guards: [TokenGuard],
          imports: [TokenModule],
          inject: [ConfigService],
          useFactory: (service: ConfigService) => configOf(service).alikassa,
        }),
        ...extras,
      ],
    };
  }
}

function configOf(service: ConfigService): AppConfig {
  return service.getOrThrow<AppConfig>(APP);
}
