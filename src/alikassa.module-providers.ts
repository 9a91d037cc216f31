import type { InjectionToken, Provider, Type } from '@nestjs/common';
import { DiscoveryService, HttpAdapterHost } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import { resolveOptions, type AliKassaOptions, type ResolvedOptions } from './alikassa.options.js';
import { HandlerDiscovery } from './handlers/handler.discovery.js';
import { PayoutGauges } from './monitoring/payout.gauges.js';
import { NotificationGate } from './notifications/notification.gate.js';
import { NotificationInbox } from './notifications/notification.inbox.js';
import { NotificationRefusals } from './notifications/notification.refusals.js';
import { NotificationService } from './notifications/notification.service.js';
import { NotificationVerifier } from './notifications/notification.verifier.js';
import { AccountPauses } from './payouts/account.pauses.js';
import { DatabaseEpochs } from './payouts/database.epochs.js';
import { DatabaseCheck } from './payouts/database.check.js';
import { DeliveryStore } from './payouts/delivery.store.js';
import { HandlerRegistry } from './payouts/handler.registry.js';
import { InstanceCheck } from './payouts/instance.check.js';
import { JobStore } from './payouts/job.store.js';
import { OpenOrders } from './payouts/open.orders.js';
import { PayoutInstance } from './payouts/payout.instance.js';
import { PayoutIntake } from './payouts/payout.intake.js';
import { PayoutOperations } from './payouts/payout.operations.js';
import { PayoutOverview } from './payouts/payout.overview.js';
import { jobQueueOf } from './payouts/payout.queue.js';
import { PayoutService } from './payouts/payout.service.js';
import { PayoutStore } from './payouts/payout.store.js';
import { ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, getAliKassaToken } from './payouts/payout.tokens.js';
import { RawBodies } from './payouts/raw.bodies.js';
import { RecipientCipher } from './payouts/recipient.cipher.js';
import { RecipientRetention } from './payouts/recipient.retention.js';
import { RecipientRotation } from './payouts/recipient.rotation.js';
import { RestoredPayouts } from './payouts/restored.payouts.js';
import { AliKassaClient } from './provider/provider.client.js';
import { SignatureProvider } from './provider/signature.provider.js';
import { CheckTask } from './worker/check.task.js';
import { DeliverTask } from './worker/deliver.task.js';
import { DispatchGate } from './worker/dispatch.gate.js';
import { PayoutRecovery } from './worker/payout.recovery.js';
import { SubmitTask } from './worker/submit.task.js';
import { SweepTask } from './worker/sweep.task.js';
import { WorkerService } from './worker/worker.service.js';

/** Injection token of the options as the host gave them. */
export const RAW_OPTIONS = Symbol('ALIKASSA_RAW_OPTIONS');

/** What a host may inject. */
const EXPORTED = [
  PayoutService,
  PayoutOverview,
  PayoutRecovery,
  RecipientRotation,
  SignatureProvider,
  AliKassaClient,
  WorkerService,
];

export function instanceExports(instance: string): InjectionToken[] {
  return EXPORTED.map((type: Type<object>) => getAliKassaToken(type, instance));
}

/**
 * The providers of one instance. Each says what it is built from; the classes themselves know nothing of injection
 * tokens.
 * @param prefix where its endpoints are mounted.
 */
export function instanceProviders(instance: string, prefix: string): Provider[] {
  const of = (type: Type<object>): InjectionToken => getAliKassaToken(type, instance);
  /** Built by its constructor. */
  const built = <Parts extends unknown[]>(
    type: new (...parts: Parts) => object,
    ...inject: { [Part in keyof Parts]: InjectionToken }
  ): Provider => ({ provide: of(type), inject, useFactory: (...parts: Parts) => new type(...parts) });

  return [
    {
      provide: ALIKASSA_OPTIONS,
      inject: [RAW_OPTIONS],
      useFactory: (options: AliKassaOptions) => resolveOptions(options, instance),
    },
    {
      provide: of(PayoutInstance),
      inject: [ALIKASSA_OPTIONS, of(SignatureProvider)],
      useFactory: ({ accounts }: ResolvedOptions, { keyFingerprint }: SignatureProvider) =>
        new PayoutInstance(
          instance,
          prefix,
          accounts.map(({ uuid }) => uuid),
          keyFingerprint,
        ),
    },
    built(InstanceCheck, DiscoveryService, of(PayoutInstance)),
    built(RawBodies, HttpAdapterHost),
    built(SignatureProvider, ALIKASSA_OPTIONS),
    built(AliKassaClient, of(SignatureProvider), ALIKASSA_OPTIONS),
    {
      provide: of(RecipientCipher),
      inject: [ALIKASSA_OPTIONS],
      useFactory: ({ encryptionKeys }: ResolvedOptions) => new RecipientCipher(encryptionKeys),
    },
    built(DatabaseCheck, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, of(RecipientCipher)),
    built(PayoutStore, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, of(HandlerRegistry), of(OpenOrders)),
    built(OpenOrders),
    built(PayoutIntake, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS, of(HandlerRegistry)),
    // A host may create payouts before Nest has made all that may have handlers.
    { provide: of(HandlerRegistry), useFactory: () => new HandlerRegistry(false) },
    built(HandlerDiscovery, DiscoveryService, of(HandlerRegistry), of(PayoutInstance)),
    built(
      PayoutService,
      ALIKASSA_DATA_SOURCE,
      ALIKASSA_OPTIONS,
      of(PayoutStore),
      of(PayoutIntake),
      of(RecipientCipher),
      of(AliKassaClient),
      of(PayoutOperations),
    ),
    built(PayoutOperations, of(PayoutStore), of(AliKassaClient)),
    built(RecipientRotation, ALIKASSA_DATA_SOURCE, of(PayoutStore), of(RecipientCipher), ALIKASSA_OPTIONS),
    built(DatabaseEpochs, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS),
    built(RestoredPayouts, of(PayoutStore), of(DatabaseEpochs), ALIKASSA_OPTIONS),
    built(
      PayoutRecovery,
      ALIKASSA_DATA_SOURCE,
      ALIKASSA_OPTIONS,
      of(PayoutService),
      of(RestoredPayouts),
      of(DatabaseEpochs),
    ),
    built(NotificationInbox, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS),
    { provide: of(NotificationRefusals), useFactory: () => new NotificationRefusals(instance) },
    built(NotificationVerifier, of(SignatureProvider), of(NotificationRefusals), of(OpenOrders)),
    built(NotificationGate, HttpAdapterHost, of(NotificationVerifier)),
    built(NotificationService, of(NotificationVerifier), ALIKASSA_OPTIONS, of(PayoutStore), of(NotificationInbox)),
    {
      provide: of(WorkerService),
      inject: [
        ALIKASSA_DATA_SOURCE,
        ALIKASSA_OPTIONS,
        of(PayoutStore),
        of(RecipientCipher),
        of(AliKassaClient),
        of(HandlerRegistry),
        of(DatabaseEpochs),
        of(RestoredPayouts),
      ],
      useFactory: worker,
    },
    built(PayoutOverview, ALIKASSA_DATA_SOURCE, ALIKASSA_OPTIONS),
    built(PayoutGauges, of(PayoutInstance), of(PayoutOverview), of(WorkerService)),
  ];
}

function worker(
  dataSource: DataSource,
  options: ResolvedOptions,
  store: PayoutStore,
  cipher: RecipientCipher,
  client: AliKassaClient,
  handlers: HandlerRegistry,
  epochs: DatabaseEpochs,
  restored: RestoredPayouts,
): WorkerService {
  const gate = new DispatchGate(new AccountPauses(dataSource), client, options);
  const deliveries = new DeliveryStore(dataSource, options);
  return new WorkerService(
    dataSource,
    options,
    new SubmitTask(store, cipher, client, gate, options),
    new CheckTask(store, client),
    new SweepTask(
      store,
      deliveries,
      new JobStore(dataSource, jobQueueOf(options)),
      new RecipientRetention(dataSource, options),
      options,
      restored,
    ),
    new DeliverTask(deliveries, handlers, store, options),
    epochs,
  );
}
