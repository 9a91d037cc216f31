import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ConfigurableModuleClass } from './alikassa.module-definition.js';
import { AliKassaNotification } from './notifications/notification.entity.js';
import { AccountPause } from './payouts/account.pause.js';
import { DatabaseEpoch } from './payouts/database.epoch.entity.js';
import { PayoutDelivery } from './payouts/delivery.entity.js';
import { EncryptionKeyCheck } from './payouts/encryption.key.js';
import { Payout, PayoutEvent } from './payouts/payout.entity.js';

/** The entities to add to the host's DataSource. */
export const alikassaEntities = [
  Payout,
  PayoutEvent,
  PayoutDelivery,
  AccountPause,
  AliKassaNotification,
  DatabaseEpoch,
  EncryptionKeyCheck,
];

/** Payouts through AliKassa. Needs a TypeORM DataSource (Postgres) that holds `alikassaEntities`. */
@Module({ imports: [DiscoveryModule] })
export class AliKassaModule extends ConfigurableModuleClass {}
