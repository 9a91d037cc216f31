import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { mountNotificationController } from '../../notifications/notification.controller.js';
import { NotificationGate } from '../../notifications/notification.gate.js';
import { NotificationService } from '../../notifications/notification.service.js';
import { mountPayoutController } from '../../payouts/payout.controller.js';
import { PayoutService } from '../../payouts/payout.service.js';
import { apiDocument } from '../api.document.js';

const PREFIX = 'alikassa';

@Module({
  controllers: [mountPayoutController(PREFIX, []), mountNotificationController(PREFIX)],
  // Endpoints are only looked at, so nothing stands behind them.
  providers: [PayoutService, NotificationService, NotificationGate].map((provide) => ({ provide, useValue: {} })),
})
export class EndpointsModule {}

/** Prints the OpenAPI document; needs no configuration and no database, for nothing is started. */
export async function openapi(): Promise<number> {
  const app = await NestFactory.create(EndpointsModule, { logger: ['fatal', 'error', 'warn'] });
  console.log(JSON.stringify(apiDocument(app), null, 2));
  return 0;
}
