import { ConfigurationError } from '../alikassa.errors.js';
import type { PayoutStatusHandler } from '../payouts/handler.registry.js';
import type { PayoutStatus } from '../payouts/payout.status.js';

const SUBSCRIPTIONS = Symbol('ALIKASSA_ON_PAYOUT_STATUS');

/** Which payouts a handler hears of, and the name it is known by. */
export interface PayoutStatusFilter {
  /** `name` of the module's instance that pays them; `default` for the one without a name. */
  instance?: string;
  /**
   * What the calls that are owed to the handler are kept under, instead of `Class.method`: 1 to 200 characters. It must
   * stay the same in every version of the application, so that classes can be renamed, and minified.
   */
  name?: string;
}

/** What one use of the decorator asks for. */
export interface PayoutStatusSubscription extends PayoutStatusFilter {
  statuses: readonly PayoutStatus[];
}

/** What the decorated methods of one class ask for. */
type Subscriptions = Map<PropertyKey, PayoutStatusSubscription[]>;

type Statuses = [PayoutStatus, ...PayoutStatus[]];
type HandlerDecorator = <T extends PayoutStatusHandler>(
  target: object,
  method: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/**
 * Calls this method of a provider or controller at least once for every change of a payout to one of these statuses, in
 * any process that runs the worker. The call is owed from within the transaction of the change, so it survives a crash; it is
 * repeated with back-off until the method returns. Repeats carry the same `eventId`; calls for two changes of one payout
 * may come in any order. A call that takes longer than `worker.handlerTimeoutMs` counts as failed.
 * The handler is known by `Class.method`, or by the `name` it is given: renamed, it misses the calls that are still owed.
 * The process that writes a change decides by its own handlers which calls are owed: have the same handlers in every
 * process on the database, and release a new one everywhere before you count on it.
 *
 * Where the module has several instances it hears of all of them, since a change that nobody hears of is money that
 * nobody gives back; `change.payout.instance` says of which. Several decorators on one method add up. A subclass inherits
 * the handlers of its base: a method that it overrides is called in place of the base's, with or without a decorator.
 * @param statuses one or more.
 */
export function OnPayoutStatus(...statuses: Statuses): HandlerDecorator;
/** As above, of the payouts of one instance only, or under a name that lasts. */
export function OnPayoutStatus(filter: PayoutStatusFilter, ...statuses: Statuses): HandlerDecorator;
export function OnPayoutStatus(...given: (PayoutStatusFilter | PayoutStatus)[]): HandlerDecorator {
  const [first, ...rest] = given;
  const [filter, statuses] = typeof first === 'object' ? [first, rest] : [{}, given];
  return (target, method) => {
    if (typeof target === 'function') {
      throw new ConfigurationError(
        '@OnPayoutStatus',
        `${target.name}.${String(method)} is static, and no provider; put it on a method of an instance`,
      );
    }
    // On the class, by the method's name: other decorators may put another function in the method's place.
    const own = Object.getOwnPropertyDescriptor(target, SUBSCRIPTIONS)?.value as Subscriptions | undefined;
    const subscriptions: Subscriptions = own ?? new Map();
    subscriptions.set(method, [...(subscriptions.get(method) ?? []), { ...filter, statuses: statuses as Statuses }]);
    Object.defineProperty(target, SUBSCRIPTIONS, { value: subscriptions, configurable: true });
  };
}

/** What the methods of a class ask for, those that it inherits included; the class nearest to it decides for each. */
export function subscriptionsOf(prototype: object): Subscriptions {
  const found: Subscriptions = new Map();
  for (let one: object | null = prototype; one; one = Object.getPrototypeOf(one) as object | null) {
    const own = Object.getOwnPropertyDescriptor(one, SUBSCRIPTIONS)?.value as Subscriptions | undefined;
    for (const [method, subscriptions] of own ?? []) {
      if (!found.has(method)) found.set(method, subscriptions);
    }
  }
  return found;
}
