import {
  Controller,
  Get,
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { run, type Runner } from 'graphile-worker';
import { OnPayoutStatus, type PayoutStatusChange } from 'nestjs-alikassa';

/** The host's own jobs, in the engine's usual schema, beside those of the payouts. */
@Injectable()
export class ReceiptWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly written: string[] = [];
  private runner?: Runner;

  async onApplicationBootstrap(): Promise<void> {
    this.runner = await run({
      connectionString: process.env['DATABASE_URL'],
      noHandleSignals: true,
      taskList: { receipt: (payload) => void this.written.push((payload as { orderId: string }).orderId) },
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.runner?.stop();
  }

  @OnPayoutStatus('paid')
  async onPaid({ eventId, payout: { orderId } }: PayoutStatusChange): Promise<void> {
    await this.runner?.addJob('receipt', { orderId }, { jobKey: `receipt:${eventId}` });
  }
}

@Controller('receipts')
export class Receipts {
  constructor(@Inject(ReceiptWorker) private readonly worker: ReceiptWorker) {}

  @Get()
  list(): string[] {
    return this.worker.written;
  }
}
