import { Column, Entity, PrimaryColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

/** What a user has. */
@Entity('balances')
export class Balance {
  @PrimaryColumn({ type: 'text', name: 'user_id' })
  userId!: string;

  @Column('numeric')
  amount!: string;
}

/** What a user has taken out: the debit, under the order's id. */
@Entity('withdrawals')
export class Withdrawal {
  @PrimaryColumn({ type: 'text', name: 'order_id' })
  orderId!: string;

  @Column({ type: 'text', name: 'user_id' })
  userId!: string;

  @Column('numeric')
  amount!: string;
}

/** What was given back, under the event that said so: the key makes it happen once. */
@Entity('credits')
export class Credit {
  @PrimaryColumn({ type: 'text', name: 'event_id' })
  eventId!: string;

  @Column({ type: 'text', name: 'order_id' })
  orderId!: string;
}

export class CreateWithdrawals1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE balances (user_id text PRIMARY KEY, amount numeric NOT NULL CHECK (amount >= 0));
      CREATE TABLE withdrawals (order_id text PRIMARY KEY, user_id text NOT NULL, amount numeric NOT NULL);
      CREATE TABLE credits (event_id text PRIMARY KEY, order_id text NOT NULL UNIQUE)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE credits, withdrawals, balances');
  }
}
