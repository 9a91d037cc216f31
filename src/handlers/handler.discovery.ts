import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import { ConfigurationError } from '../alikassa.errors.js';
import { EVERY_HANDLER, type HandlerRegistry, type PayoutStatusHandler } from '../payouts/handler.registry.js';
import { instancesIn, type PayoutInstance } from '../payouts/payout.instance.js';
import { PAYOUT_STATUSES, type PayoutStatus } from '../payouts/payout.status.js';
import { subscriptionsOf, type PayoutStatusSubscription } from './on.payout.status.js';

type Methods = Record<PropertyKey, PayoutStatusHandler>;
type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** As the column that holds it. */
const LONGEST_NAME = 200;
/** What bundlers make of a class's name, or TypeScript of a class without one; it changes from build to build. */
const NO_NAME = /^(?:.{0,2}|[a-z_$][\w$]{2}|(?:class|default)_\d+)$/;
const NAME_IT = "give it a name that lasts: @OnPayoutStatus({ name: 'ledger' }, ...)";

/** Finds the host's handlers of an instance when the application starts. */
@Injectable()
export class HandlerDiscovery implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly registry: HandlerRegistry,
    private readonly own: PayoutInstance,
  ) {}

  /** @throws ConfigurationError for a handler that could not be called. */
  onModuleInit(): void {
    const known = instancesIn(this.discovery).map(({ name }) => name);
    // One instance may stand under several tokens; its handlers are registered once.
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const { prototype, instance, scope } = describe(wrapper);
      if (!prototype || (instance && seen.has(instance))) continue;
      if (instance) seen.add(instance);
      for (const [method, subscriptions] of subscriptionsOf(prototype)) {
        const place = `${prototype.constructor.name}.${textOf(method)}`;
        subscriptions.forEach((one) => refuseUnknown(one, known));
        if (!instance || scope) {
          throw refused(`${place} is on a ${scope ?? 'request-scoped'} class; make it a singleton`);
        }
        for (const [name, statuses] of this.statusesByName(subscriptions, place)) {
          // Owed under the method's place before it was given a name.
          const alias = isLasting(place) ? place : undefined;
          this.registry.add(name, statuses, (change) => (instance as Methods)[method]?.(change), alias);
        }
      }
    }
    this.registry.complete();
  }

  /** What one method asks of this instance. */
  private statusesByName(subscriptions: PayoutStatusSubscription[], place: string): Map<string, PayoutStatus[]> {
    const byName = new Map<string, PayoutStatus[]>();
    for (const { name, instance, statuses } of subscriptions) {
      const checked = name === undefined ? checkedPlace(place) : checkedName(name, place);
      if (instance !== undefined && instance !== this.own.name) continue;
      byName.set(checked, [...(byName.get(checked) ?? []), ...statuses]);
    }
    return byName;
  }
}

function refused(message: string): ConfigurationError {
  return new ConfigurationError('@OnPayoutStatus', message);
}

/** @throws ConfigurationError for what would never be called. */
function refuseUnknown({ statuses, instance }: PayoutStatusSubscription, known: readonly string[]): void {
  if (statuses.length === 0) throw refused(`names no status; use ${PAYOUT_STATUSES.join(', ')}`);
  const status = statuses.find((one) => !PAYOUT_STATUSES.includes(one));
  if (status !== undefined) throw refused(`"${status}" is no status; use ${PAYOUT_STATUSES.join(', ')}`);
  if (instance !== undefined && !known.includes(instance)) {
    throw refused(`"${instance}" is no instance; there is ${known.join(', ')}`);
  }
}

/** @throws ConfigurationError where the place of a handler is no name that lasts. */
function checkedPlace(place: string): string {
  if (!isLasting(place)) {
    throw refused(`"${place}" is no name that lasts, since the class or method has none or was minified; ${NAME_IT}`);
  }
  if (place.length > LONGEST_NAME) throw refused(`${place} is longer than ${LONGEST_NAME} characters; ${NAME_IT}`);
  return place;
}

function isLasting(place: string): boolean {
  const [type = '', method = ''] = place.split(/\.(.*)/s);
  return !NO_NAME.test(type) && method !== '';
}

function checkedName(name: unknown, place: string): string {
  const isName = typeof name === 'string' && name.length <= LONGEST_NAME && /^\S(?:.*\S)?$/u.test(name);
  if (isName && name.isWellFormed() && !/\p{Cc}/u.test(name) && name !== EVERY_HANDLER) return name;
  throw refused(`the name of ${place} must be a text of 1 to ${LONGEST_NAME} characters, without blanks at its ends`);
}

/** A symbol is known by its description. */
function textOf(method: PropertyKey): string {
  return typeof method === 'symbol' ? (method.description ?? '') : String(method);
}

function describe(wrapper: Wrapper): { prototype: object | null; instance: object | null; scope?: string } {
  const { metatype, instance } = wrapper as { metatype: { prototype?: object } | null; instance: unknown };
  const made = typeof instance === 'object' && instance !== null ? instance : null;
  // A factory's metatype is the factory itself: what it made tells the class.
  const prototype = made ? (Object.getPrototypeOf(made) as object | null) : (metatype?.prototype ?? null);
  // Nest keeps an object of a transient class that it has never constructed.
  if (wrapper.isTransient) return { prototype, instance: made, scope: 'transient' };
  return { prototype, instance: made, ...(!wrapper.isDependencyTreeStatic() && { scope: 'request-scoped' }) };
}
