import { readFileSync } from 'node:fs';
import { Body, Controller, Inject, Module, Post } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule, alikassaEntities } from 'nestjs-alikassa';
import { alikassaMigrations } from 'nestjs-alikassa/migrations';
import { Balance, CreateWithdrawals1700000000000, Credit, Withdrawal } from './withdrawal.tables.js';
import { Withdrawals, type WithdrawalRequest } from './withdrawals.js';

const env = process.env;
const key = (file: string): string => readFileSync(`${env['KEYS']}/${file}`, 'utf8');

@Controller('withdrawals')
class WithdrawalsController {
  constructor(@Inject(Withdrawals) private readonly withdrawals: Withdrawals) {}

  @Post()
  async withdraw(@Body() request: WithdrawalRequest): Promise<{ id: string; status: string }> {
    const { id, status } = await this.withdrawals.withdraw(request);
    return { id, status };
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: env['DATABASE_URL'],
      entities: [...alikassaEntities, Balance, Withdrawal, Credit],
      migrations: [...alikassaMigrations, CreateWithdrawals1700000000000],
      migrationsRun: true,
    }),
    AliKassaModule.forRoot({
      accounts: [{ uuid: env['ACCOUNT'] ?? '', currency: 'RUB' }],
      privateKey: key('private.pem'),
      passphrase: key('password.txt'),
      notificationPublicKey: key('notifications.pem'),
      encryptionKeys: [{ id: 'k1', key: env['ENCRYPTION_KEY'] ?? '' }],
      notificationUrl: env['NOTIFICATION_URL'],
      baseUrl: env['ALIKASSA_BASE_URL'],
    }),
  ],
  controllers: [WithdrawalsController],
  providers: [Withdrawals],
})
export class AppModule {}
