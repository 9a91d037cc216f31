import { SetMetadata } from '@nestjs/common';
import type { PayoutStatusHandler } from '../payouts/handler.registry.js';
import type { PayoutStatus } from '../payouts/payout.status.js';

export const ON_PAYOUT_STATUS = Symbol('ALIKASSA_ON_PAYOUT_STATUS');

/**
 * Calls this method of a provider at least once for every change of a payout to one of these statuses, in any process
 * that runs the worker. The call is owed from within the transaction of the change, so it survives a crash; it is
 * repeated with back-off until the method returns. Repeats carry the same `eventId`; calls for two changes of one payout
 * may come in any order. The handler is known by `Class.method`: renamed, it misses the calls that are still owed.
 * The process that writes a change decides by its own handlers which calls are owed: have the same handlers in every
 * process on the database, and release a new one everywhere before you count on it.
 * @param statuses one or more.
 */
export function OnPayoutStatus(...statuses: [PayoutStatus, ...PayoutStatus[]]) {
  return <T extends PayoutStatusHandler>(
    target: object,
    method: string,
    descriptor: TypedPropertyDescriptor<T>,
  ): void => {
    SetMetadata(ON_PAYOUT_STATUS, statuses)(target, method, descriptor);
  };
}
