import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { AliKassaModule, alikassaEntities, OnPayoutStatus } from 'nestjs-alikassa';

/** A host application as a process of its own, on the built package; `host.ts` starts it. */
const { databaseUrl, port, options, hasHandler } = JSON.parse(process.env.ALIKASSA_TEST_HOST ?? '{}');

class OpenGuard {
  canActivate() {
    return true;
  }
}

/** Writes down what it is called with, in the table `handled` that the test has made. */
class Bookkeeper {
  constructor(dataSource) {
    this.dataSource = dataSource;
  }
  async onPaid({ eventId, payout }) {
    await this.dataSource.query('INSERT INTO handled (event_id, payout_id) VALUES ($1, $2)', [eventId, payout.id]);
  }
}
const method = Object.getOwnPropertyDescriptor(Bookkeeper.prototype, 'onPaid');
OnPayoutStatus('paid')(Bookkeeper.prototype, 'onPaid', method);
const bookkeeper = {
  provide: Bookkeeper,
  inject: [DataSource],
  useFactory: (dataSource) => new Bookkeeper(dataSource),
};

class HostModule {}
Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: databaseUrl, entities: alikassaEntities, retryAttempts: 0 }),
    AliKassaModule.forRoot({ ...options, guards: [OpenGuard] }),
  ],
  providers: hasHandler ? [bookkeeper] : [],
})(HostModule);

const app = await NestFactory.create(HostModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
await app.listen(port, '127.0.0.1');
process.send?.('listening');
process.on('disconnect', () => process.exit(1));
