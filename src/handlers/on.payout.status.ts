import { SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { PayoutStatusHandler } from '../payouts/handler.registry.js';
import type { PayoutStatus } from '../payouts/payout.status.js';

export const ON_PAYOUT_STATUS = Symbol('ALIKASSA_ON_PAYOUT_STATUS');

/** Which payouts a handler hears of. */
export interface PayoutStatusFilter {
  /** `name` of the module's instance that pays them; `default` for the one without a name. */
  instance: string;
}

/** What one use of the decorator asks for. */
export interface PayoutStatusSubscription extends Partial<PayoutStatusFilter> {
  statuses: readonly PayoutStatus[];
}

type Statuses = [PayoutStatus, ...PayoutStatus[]];
type HandlerDecorator = <T extends PayoutStatusHandler>(
  target: object,
  method: string,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/**
 * Calls this method of a provider or controller at least once for every change of a payout to one of these statuses, in
 * any process that runs the worker. The call is owed from within the transaction of the change, so it survives a crash; it is
 * repeated with back-off until the method returns. Repeats carry the same `eventId`; calls for two changes of one payout
 * may come in any order. The handler is known by `Class.method`: renamed, it misses the calls that are still owed.
 * The process that writes a change decides by its own handlers which calls are owed: have the same handlers in every
 * process on the database, and release a new one everywhere before you count on it.
 *
 * Where the module has several instances it hears of all of them, since a change that nobody hears of is money that
 * nobody gives back; `change.payout.instance` says of which. Several decorators on one method add up.
 * @param statuses one or more.
 */
export function OnPayoutStatus(...statuses: Statuses): HandlerDecorator;
/** As above, of the payouts of one instance only. */
export function OnPayoutStatus(filter: PayoutStatusFilter, ...statuses: Statuses): HandlerDecorator;
export function OnPayoutStatus(...given: (PayoutStatusFilter | PayoutStatus)[]): HandlerDecorator {
  const [first, ...rest] = given;
  const [filter, statuses] = typeof first === 'object' ? [first, rest] : [{}, given];
  return (target, method, descriptor) => {
    const before: PayoutStatusSubscription[] = descriptor.value
      ? (new Reflector().get(ON_PAYOUT_STATUS, descriptor.value) ?? [])
      : [];
    SetMetadata(ON_PAYOUT_STATUS, [...before, { ...filter, statuses }])(target, method, descriptor);
  };
}
