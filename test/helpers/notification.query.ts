import { randomUUID } from 'node:crypto';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { AliKassaSimulator, NotificationParameters } from '../../src/testing/index.js';
import { RUB } from './application.js';

/** The raw query of a notification as the provider signs it: a payout of its own that was paid, unless changed. */
export function signedQuery(simulator: AliKassaSimulator, changes: NotificationParameters = {}): string {
  return simulator.signedNotificationQuery({
    type: 'payout',
    id: '100001524',
    order_id: randomUUID(),
    payment_status: 'paid',
    amount: '12.00',
    payment_amount: '12.00',
    commission_amount: '0.12',
    is_partial_payment: '0',
    account: RUB,
    service: 'qiwi_rub',
    desc: null,
    ...changes,
  });
}

/** The same of a stored payout. */
export function signedQueryOf(
  simulator: AliKassaSimulator,
  { providerId, orderId, amount, account, service }: Payout,
  changes: NotificationParameters = {},
): string {
  const own = { id: providerId, order_id: orderId, amount, payment_amount: amount, account, service };
  return signedQuery(simulator, { ...own, ...changes });
}

/** The same with other content: well-formed to the last byte. */
export function forgedQuery(simulator: AliKassaSimulator): string {
  return signedQuery(simulator).replace('payment_status=paid', 'payment_status=fail');
}

/** The signature of a query, as base64. */
export function signOf(query: string): string {
  return new URLSearchParams(query).get('sign') ?? '';
}

/** The query with another signature. */
export function withSign(query: string, sign: string): string {
  return query.replace(/sign=[^&]*/, `sign=${encodeURIComponent(sign)}`);
}
