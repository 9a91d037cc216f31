import { OpenOrders } from '../../src/payouts/open.orders.js';
import { accepted, startStore, TOKEN } from '../helpers/store.js';

const MOST = 10_000;
const open = (orderId: string, providerId: string | null) => ({ orderId, providerId, status: 'wait' as const });

describe('OpenOrders', () => {
  it('has what is open at the provider, by both ids', () => {
    const orders = new OpenOrders();
    orders.note(open('a', '1'));
    expect([orders.has('a', '1'), orders.has('a', '2'), orders.has('b', '1'), orders.has('', '')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('has none that is final, or that the provider has given no id', () => {
    const orders = new OpenOrders();
    orders.note(open('a', '1'));
    orders.note({ ...open('a', '1'), status: 'paid' });
    orders.note(open('b', null));
    expect([orders.has('a', '1'), orders.has('b', '')]).toEqual([false, false]);
  });

  it('forgets the oldest first, and one that was noted again is young', () => {
    const orders = new OpenOrders();
    for (let n = 0; n < MOST; n += 1) orders.note(open(`order ${n}`, '1'));
    orders.note(open('order 0', '1'));
    orders.note(open('one more', '1'));
    expect(['order 0', 'order 1', 'order 2', 'one more'].map((orderId) => orders.has(orderId, '1'))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  it('is told by the store of every change', async () => {
    const test = await startStore();
    const id = await test.add({ orderId: 'told' });
    await test.store.claim(id, TOKEN);
    expect(test.openOrders.has('told', '7')).toBe(false);
    await test.store.settle(id, accepted);
    expect(test.openOrders.has('told', '7')).toBe(true);
    await test.store.settle(id, await test.paid(id));
    expect(test.openOrders.has('told', '7')).toBe(false);
    await test.stop();
  });
});
