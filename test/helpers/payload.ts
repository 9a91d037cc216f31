import { randomUUID } from 'node:crypto';
import { RUB } from './application.js';

/** Body of a create request of its own order, as a host would send it. */
export function payload(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    account: RUB,
    amount: '12.00',
    number: '79005554455',
    order_id: randomUUID(),
    service: 'qiwi_rub',
    ...changes,
  };
}
