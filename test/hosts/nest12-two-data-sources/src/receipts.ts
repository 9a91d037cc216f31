import { Controller, Get, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Column, Entity, PrimaryColumn, type Repository } from 'typeorm';
import { OnPayoutStatus, type PayoutStatusChange } from 'nestjs-alikassa';

/** In the host's default DataSource. */
@Entity()
export class Receipt {
  @PrimaryColumn('text')
  eventId!: string;

  @Column('text')
  orderId!: string;
}

@Injectable()
export class ReceiptBook {
  constructor(@InjectRepository(Receipt) private readonly receipts: Repository<Receipt>) {}

  @OnPayoutStatus('paid')
  async onPaid({ eventId, payout: { orderId } }: PayoutStatusChange): Promise<void> {
    await this.receipts.upsert({ eventId, orderId }, ['eventId']);
  }

  async orders(): Promise<string[]> {
    return (await this.receipts.find()).map(({ orderId }) => orderId);
  }
}

@Controller('receipts')
export class Receipts {
  constructor(private readonly book: ReceiptBook) {}

  @Get()
  async list(): Promise<string[]> {
    return this.book.orders();
  }
}
