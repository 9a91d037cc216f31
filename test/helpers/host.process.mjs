import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule, alikassaEntities } from 'nestjs-alikassa';

/** A host application as a process of its own, on the built package; `host.ts` starts it. */
const { databaseUrl, port, options } = JSON.parse(process.env.ALIKASSA_TEST_HOST ?? '{}');

class OpenGuard {
  canActivate() {
    return true;
  }
}

class HostModule {}
Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: databaseUrl, entities: alikassaEntities, retryAttempts: 0 }),
    AliKassaModule.forRoot({ ...options, guards: [OpenGuard] }),
  ],
})(HostModule);

const app = await NestFactory.create(HostModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
await app.listen(port, '127.0.0.1');
process.send?.('listening');
process.on('disconnect', () => process.exit(1));
