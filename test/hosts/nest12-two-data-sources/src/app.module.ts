import { readFileSync } from 'node:fs';
import { Module, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule, alikassaEntities } from 'nestjs-alikassa';
import { alikassaMigrations } from 'nestjs-alikassa/migrations';
import { Receipt, ReceiptBook, Receipts } from './receipts.js';

const env = process.env;
const key = (file: string): string => readFileSync(`${env['KEYS']}/${file}`, 'utf8');

class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: { authorization?: string } }>();
    return headers.authorization === 'Bearer host';
  }
}

@Module({
  controllers: [Receipts],
  providers: [ReceiptBook],
  imports: [
    // The host's own tables; the payouts' are not there.
    TypeOrmModule.forRoot({ type: 'postgres', url: env['DATABASE_URL'], entities: [Receipt], synchronize: true }),
    TypeOrmModule.forFeature([Receipt]),
    TypeOrmModule.forRoot({
      name: 'payments',
      type: 'postgres',
      url: env['SECOND_DATABASE_URL'],
      entities: alikassaEntities,
      migrations: alikassaMigrations,
      migrationsRun: true,
    }),
    AliKassaModule.forRoot({
      dataSource: 'payments',
      guards: [TokenGuard],
      accounts: [{ uuid: env['ACCOUNT'] ?? '', currency: 'RUB' }],
      privateKey: key('private.pem'),
      passphrase: key('password.txt'),
      notificationPublicKey: key('notifications.pem'),
      encryptionKeys: [{ id: 'k1', key: env['ENCRYPTION_KEY'] ?? '' }],
      notificationUrl: env['NOTIFICATION_URL'],
      baseUrl: env['ALIKASSA_BASE_URL'],
    }),
  ],
})
export class AppModule {}
