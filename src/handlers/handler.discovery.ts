import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { ConfigurationError } from '../alikassa.errors.js';
import type { HandlerRegistry, PayoutStatusHandler } from '../payouts/handler.registry.js';
import { PAYOUT_STATUSES, type PayoutStatus } from '../payouts/payout.status.js';
import { ON_PAYOUT_STATUS } from './on.payout.status.js';

type Methods = Record<string, PayoutStatusHandler>;

/** Finds the host's handlers when the application starts. */
@Injectable()
export class HandlerDiscovery implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
    private readonly registry: HandlerRegistry,
  ) {}

  /** @throws ConfigurationError for a handler that could not be called. */
  onModuleInit(): void {
    // One instance may stand under several tokens; its handlers are registered once.
    const seen = new Set<object>();
    for (const { metatype, instance, isDependencyTreeStatic } of this.discovery.getProviders().map(describe)) {
      const prototype: object | null = metatype?.prototype ?? (instance ? Object.getPrototypeOf(instance) : null);
      if (!prototype || (instance && seen.has(instance))) continue;
      if (instance) seen.add(instance);
      for (const method of this.scanner.getAllMethodNames(prototype)) {
        const statuses = this.statusesOf(prototype, method);
        if (!statuses) continue;
        const name = `${prototype.constructor.name}.${method}`;
        if (!instance || !isDependencyTreeStatic) {
          throw new ConfigurationError(
            '@OnPayoutStatus',
            `${name} is on a request-scoped provider; make it a singleton`,
          );
        }
        this.registry.add(name, statuses, (change) => (instance as Methods)[method]?.(change));
      }
    }
  }

  private statusesOf(prototype: object, method: string): PayoutStatus[] | undefined {
    const handler: unknown = (prototype as Record<string, unknown>)[method];
    const statuses =
      typeof handler === 'function' ? this.reflector.get<PayoutStatus[]>(ON_PAYOUT_STATUS, handler) : undefined;
    const unknown = statuses?.find((status) => !PAYOUT_STATUSES.includes(status));
    if (unknown !== undefined) {
      throw new ConfigurationError('@OnPayoutStatus', `"${unknown}" is no status; use ${PAYOUT_STATUSES.join(', ')}`);
    }
    return statuses;
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
