import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { ConfigurationError } from '../alikassa.errors.js';
import type { HandlerRegistry, PayoutStatusHandler } from '../payouts/handler.registry.js';
import { instancesIn, type PayoutInstance } from '../payouts/payout.instance.js';
import { PAYOUT_STATUSES } from '../payouts/payout.status.js';
import { ON_PAYOUT_STATUS, type PayoutStatusSubscription } from './on.payout.status.js';

type Methods = Record<string, PayoutStatusHandler>;

/** Finds the host's handlers of an instance when the application starts. */
@Injectable()
export class HandlerDiscovery implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
    private readonly registry: HandlerRegistry,
    private readonly own: PayoutInstance,
  ) {}

  /** @throws ConfigurationError for a handler that could not be called. */
  onModuleInit(): void {
    const known = instancesIn(this.discovery).map(({ name }) => name);
    // One instance may stand under several tokens; its handlers are registered once.
    const seen = new Set<object>();
    const wrappers = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    for (const { metatype, instance, isDependencyTreeStatic } of wrappers.map(describe)) {
      const prototype: object | null = metatype?.prototype ?? (instance ? Object.getPrototypeOf(instance) : null);
      if (!prototype || (instance && seen.has(instance))) continue;
      if (instance) seen.add(instance);
      for (const method of this.scanner.getAllMethodNames(prototype)) {
        const subscriptions = this.subscriptionsOf(prototype, method);
        if (!subscriptions) continue;
        const name = `${prototype.constructor.name}.${method}`;
        subscriptions.forEach((one) => refuseUnknown(one, known));
        if (!instance || !isDependencyTreeStatic) {
          throw new ConfigurationError('@OnPayoutStatus', `${name} is on a request-scoped class; make it a singleton`);
        }
        const statuses = subscriptions
          .filter((one) => one.instance === undefined || one.instance === this.own.name)
          .flatMap((one) => one.statuses);
        if (statuses.length > 0) this.registry.add(name, statuses, (change) => (instance as Methods)[method]?.(change));
      }
    }
  }

  private subscriptionsOf(prototype: object, method: string): PayoutStatusSubscription[] | undefined {
    const handler: unknown = (prototype as Record<string, unknown>)[method];
    return typeof handler === 'function'
      ? this.reflector.get<PayoutStatusSubscription[]>(ON_PAYOUT_STATUS, handler)
      : undefined;
  }
}

/** @throws ConfigurationError for what would never be called. */
function refuseUnknown({ statuses, instance }: PayoutStatusSubscription, known: readonly string[]): void {
  const status = statuses.find((one) => !PAYOUT_STATUSES.includes(one));
  if (status !== undefined) {
    throw new ConfigurationError('@OnPayoutStatus', `"${status}" is no status; use ${PAYOUT_STATUSES.join(', ')}`);
  }
  if (instance !== undefined && !known.includes(instance)) {
    throw new ConfigurationError('@OnPayoutStatus', `"${instance}" is no instance; there is ${known.join(', ')}`);
  }
}

function describe(wrapper: ReturnType<DiscoveryService['getProviders']>[number]) {
  const { metatype, instance } = wrapper as { metatype: { prototype?: object } | null; instance: object | null };
  const isObject = typeof instance === 'object' && instance !== null;
  return {
    // A factory's metatype is the factory itself: what it made tells the class.
    metatype: isObject ? null : metatype,
    instance: isObject ? instance : null,
    isDependencyTreeStatic: wrapper.isDependencyTreeStatic(),
  };
}
