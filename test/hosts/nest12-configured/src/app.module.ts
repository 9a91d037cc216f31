import { readFileSync } from 'node:fs';
import {
  Catch,
  Injectable,
  Module,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { map, type Observable } from 'rxjs';
import { AliKassaModule, alikassaEntities } from 'nestjs-alikassa';
import { alikassaMigrations } from 'nestjs-alikassa/migrations';

const env = process.env;
const key = (file: string): string => readFileSync(`${env['KEYS']}/${file}`, 'utf8');
const NOTIFICATIONS = '/api/v1/money/alikassa/notifications';

interface HttpRequest {
  path: string;
  headers: { authorization?: string };
}

/** Of the whole application: only notifications, which carry their own signature, come without a token. */
@Injectable()
class GlobalGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { path, headers } = context.switchToHttp().getRequest<HttpRequest>();
    return path === NOTIFICATIONS || headers.authorization === 'Bearer host';
  }
}

/** Every answer of the application in one envelope. */
@Injectable()
class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler<unknown>): Observable<{ data: unknown }> {
    return next.handle().pipe(map((data) => ({ data })));
  }
}

@Catch()
class GlobalFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<{ status(code: number): { json(body: object): void } }>().status(418).json({});
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: env['DATABASE_URL'],
      entities: alikassaEntities,
      migrations: alikassaMigrations,
      migrationsRun: true,
    }),
    AliKassaModule.forRootAsync({
      prefix: 'money/alikassa',
      guards: [GlobalGuard],
      useFactory: () => ({
        accounts: [{ uuid: env['ACCOUNT'] ?? '', currency: 'RUB' }],
        privateKey: key('private.pem'),
        passphrase: key('password.txt'),
        notificationPublicKey: key('notifications.pem'),
        encryptionKeys: [{ id: 'k1', key: env['ENCRYPTION_KEY'] ?? '' }],
        notificationUrl: env['NOTIFICATION_URL'],
        baseUrl: env['ALIKASSA_BASE_URL'],
      }),
    }),
  ],
  providers: [
    { provide: APP_GUARD, useClass: GlobalGuard },
    { provide: APP_INTERCEPTOR, useClass: Envelope },
    { provide: APP_FILTER, useClass: GlobalFilter },
  ],
})
export class AppModule {}
