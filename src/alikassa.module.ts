import { HttpModule, HttpService } from '@nestjs/axios';
import { Module, type Provider } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, HttpAdapterHost, MetadataScanner, Reflector } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } from './alikassa.module-definition.js';
import { resolveOptions, type AliKassaOptions, type ResolvedOptions } from './alikassa.options.js';
import { HandlerDiscovery } from './handlers/handler.discovery.js';
import { monitoringProviders } from './monitoring/monitoring.providers.js';
import { AliKassaNotification } from './notifications/notification.entity.js';
import { NotificationGate } from './notifications/notification.gate.js';
import { NotificationInbox } from './notifications/notification.inbox.js';
import { NotificationRefusals } from './notifications/notification.refusals.js';
import { NotificationService } from './notifications/notification.service.js';
import { NotificationVerifier } from './notifications/notification.verifier.js';
import { AccountPause } from './payouts/account.pause.js';
import { AccountPauses } from './payouts/account.pauses.js';
import { PayoutDelivery } from './payouts/delivery.entity.js';
import { DeliveryStore } from './payouts/delivery.store.js';
import { HandlerRegistry } from './payouts/handler.registry.js';
import { JobStore } from './payouts/job.store.js';
import { Payout, PayoutEvent } from './payouts/payout.entity.js';
import { PayoutOverview } from './payouts/payout.overview.js';
import { PayoutService } from './payouts/payout.service.js';
import { PayoutStore } from './payouts/payout.store.js';
import { ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS } from './payouts/payout.tokens.js';
import { RecipientCipher } from './payouts/recipient.cipher.js';
import { RecipientRetention } from './payouts/recipient.retention.js';
import { RecipientRotation } from './payouts/recipient.rotation.js';
import { AliKassaClient } from './provider/provider.client.js';
import { SignatureProvider } from './provider/signature.provider.js';
import { CheckTask } from './worker/check.task.js';
import { DeliverTask } from './worker/deliver.task.js';
import { DispatchGate } from './worker/dispatch.gate.js';
import { SubmitTask } from './worker/submit.task.js';
import { SweepTask } from './worker/sweep.task.js';
import { WorkerService } from './worker/worker.service.js';

/** The entities to add to the host's DataSource. */
export const alikassaEntities = [Payout, PayoutEvent, PayoutDelivery, AccountPause, AliKassaNotification];

/** Each provider says what it is built from; the classes themselves know nothing of injection tokens. */
const providers: Provider[] = [
  { provide: ALIKASSA_OPTIONS, inject: [MODULE_OPTIONS_TOKEN], useFactory: (o: AliKassaOptions) => resolveOptions(o) },
  {
    provide: SignatureProvider,
    inject: [ALIKASSA_OPTIONS],
    useFactory: (options: ResolvedOptions) => new SignatureProvider(options),
  },
  {
    provide: AliKassaClient,
    inject: [HttpService, SignatureProvider, ALIKASSA_OPTIONS],
    useFactory: (http: HttpService, signature: SignatureProvider, options: ResolvedOptions) =>
      new AliKassaClient(http, signature, options),
  },
  {
    provide: RecipientCipher,
    inject: [ALIKASSA_OPTIONS],
    useFactory: ({ encryptionKeys }: ResolvedOptions) => new RecipientCipher(encryptionKeys),
  },
  {
    provide: PayoutStore,
    inject: [ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, HandlerRegistry],
    useFactory: (...parts: ConstructorParameters<typeof PayoutStore>) => new PayoutStore(...parts),
  },
  HandlerRegistry,
  {
    provide: HandlerDiscovery,
    inject: [DiscoveryService, MetadataScanner, Reflector, HandlerRegistry],
    useFactory: (...parts: ConstructorParameters<typeof HandlerDiscovery>) => new HandlerDiscovery(...parts),
  },
  {
    provide: PayoutService,
    inject: [ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, PayoutStore, RecipientCipher, AliKassaClient],
    useFactory: (...parts: ConstructorParameters<typeof PayoutService>) => new PayoutService(...parts),
  },
  {
    provide: RecipientRotation,
    inject: [ALIKASSA_DATA_SOURCE, PayoutStore, RecipientCipher],
    useFactory: (...parts: ConstructorParameters<typeof RecipientRotation>) => new RecipientRotation(...parts),
  },
  {
    provide: NotificationInbox,
    inject: [ALIKASSA_DATA_SOURCE],
    useFactory: (dataSource: DataSource) => new NotificationInbox(dataSource),
  },
  NotificationRefusals,
  {
    provide: NotificationVerifier,
    inject: [SignatureProvider, NotificationRefusals],
    useFactory: (...parts: ConstructorParameters<typeof NotificationVerifier>) => new NotificationVerifier(...parts),
  },
  {
    provide: NotificationGate,
    inject: [HttpAdapterHost, NotificationVerifier],
    useFactory: (...parts: ConstructorParameters<typeof NotificationGate>) => new NotificationGate(...parts),
  },
  {
    provide: NotificationService,
    inject: [NotificationVerifier, ALIKASSA_OPTIONS, PayoutStore, NotificationInbox],
    useFactory: (...parts: ConstructorParameters<typeof NotificationService>) => new NotificationService(...parts),
  },
  {
    provide: WorkerService,
    inject: [ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, PayoutStore, RecipientCipher, AliKassaClient, HandlerRegistry],
    useFactory: (
      dataSource: DataSource,
      options: ResolvedOptions,
      store: PayoutStore,
      cipher: RecipientCipher,
      client: AliKassaClient,
      handlers: HandlerRegistry,
    ) => {
      const gate = new DispatchGate(new AccountPauses(dataSource), client, options);
      const deliveries = new DeliveryStore(dataSource, options.worker.schema);
      return new WorkerService(
        dataSource,
        options,
        new SubmitTask(store, cipher, client, gate, options),
        new CheckTask(store, client),
        new SweepTask(
          store,
          deliveries,
          new JobStore(dataSource, options.worker.schema),
          new RecipientRetention(dataSource, options.recipientRetentionDays),
          options,
        ),
        new DeliverTask(deliveries, handlers, store),
      );
    },
  },
  ...monitoringProviders,
];

/** Payouts through AliKassa. Needs a TypeORM DataSource (Postgres) that holds `alikassaEntities`. */
@Module({
  imports: [HttpModule, DiscoveryModule],
  providers,
  exports: [PayoutService, PayoutOverview, RecipientRotation, SignatureProvider, AliKassaClient, WorkerService],
})
export class AliKassaModule extends ConfigurableModuleClass {}
