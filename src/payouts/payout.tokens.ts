import { Inject, type Type } from '@nestjs/common';
import { DEFAULT_INSTANCE } from '../alikassa.options.js';
import { PayoutService } from './payout.service.js';

/** Injection token of the DataSource that holds our tables. */
export const ALIKASSA_DATA_SOURCE = Symbol('ALIKASSA_DATA_SOURCE');
/** Injection token of the resolved options. */
export const ALIKASSA_OPTIONS = Symbol('ALIKASSA_OPTIONS');

/**
 * Injection token of what an instance of the module exports, e.g. `getAliKassaToken(PayoutOverview, 'second')`. Of the
 * instance without a name it is the class itself, and a named one provides nothing under a class: so none is taken for
 * the other.
 * @param instance its `name`.
 */
export function getAliKassaToken<T>(type: Type<T>, instance = DEFAULT_INSTANCE): Type<T> | string {
  return instance === DEFAULT_INSTANCE ? type : `AliKassa_${instance}_${type.name}`;
}

/** Injection token of an instance's `PayoutService`. @param instance its `name`; without it, the one that has none. */
export function getPayoutServiceToken(instance?: string): Type<PayoutService> | string {
  return getAliKassaToken(PayoutService, instance);
}

/** Injects an instance's `PayoutService`. @param instance its `name`; without it, the one that has none. */
export function InjectPayoutService(instance?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getPayoutServiceToken(instance));
}
