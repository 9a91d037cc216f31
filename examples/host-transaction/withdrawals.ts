import { ConflictException, Injectable } from '@nestjs/common';
import { DataSource, MoreThanOrEqual } from 'typeorm';
import { OnPayoutStatus, PayoutService, type Payout, type PayoutStatusChange } from 'nestjs-alikassa';
import { Balance, Credit, Withdrawal } from './withdrawal.tables.js';

export interface WithdrawalRequest {
  orderId: string;
  userId: string;
  amount: string;
  number: string;
}

/** Takes money from a user's balance and pays it out; gives it back where the payout comes to nothing. */
@Injectable()
export class Withdrawals {
  constructor(
    private readonly dataSource: DataSource,
    private readonly payouts: PayoutService,
  ) {}

  /** Debit and payout commit together or not at all. A repeat of the same request returns the same payout. */
  async withdraw({ orderId, userId, amount, number }: WithdrawalRequest): Promise<Payout> {
    return this.dataSource.transaction(async (manager) => {
      const withdrawal = { orderId, userId, amount };
      const { raw } = await manager
        .createQueryBuilder()
        .insert()
        .into(Withdrawal)
        .values(withdrawal)
        .orIgnore()
        .returning('order_id')
        .execute();
      if ((raw as unknown[]).length > 0) {
        const enough = { userId, amount: MoreThanOrEqual(amount) };
        const debit = await manager.decrement(Balance, enough, 'amount', amount);
        if (debit.affected !== 1) throw new ConflictException('The balance is too low.');
      }
      return this.payouts.create({ order_id: orderId, amount, number, service: 'payment_card_rub' }, { manager });
    });
  }

  /** Called until it returns; the event's id as the key lets only the first call through that commits. */
  @OnPayoutStatus('fail', 'cancel', 'rejected', 'withdrawn')
  async creditBack({ eventId, payout: { orderId } }: PayoutStatusChange): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      const withdrawal = await manager.findOneBy(Withdrawal, { orderId });
      if (!withdrawal) return; // Not one of ours: another part of the application pays out too.
      const { raw } = await manager
        .createQueryBuilder()
        .insert()
        .into(Credit)
        .values({ eventId, orderId })
        .orIgnore()
        .returning('event_id')
        .execute();
      if ((raw as unknown[]).length === 0) return;
      await manager.increment(Balance, { userId: withdrawal.userId }, 'amount', withdrawal.amount);
    });
  }
}
