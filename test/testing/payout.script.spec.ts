import type { PayoutScript } from '../../src/testing/index.js';
import { startSimulator, type ProviderCaller } from './provider.caller.js';

let caller: ProviderCaller;
beforeEach(async () => {
  caller = await startSimulator();
});
afterEach(() => caller.simulator.stop());

describe('the next payout', () => {
  // The amount's cents say something else: the words come first.
  it.each<[string, (script: PayoutScript) => unknown, string, object]>([
    ['isPaid', (script) => script.isPaid(), '10.02', { payment_status: 'paid', payment_amount: '10.02' }],
    ['isPaidInPart', (script) => script.isPaidInPart(), '10.00', { payment_status: 'paid', payment_amount: '9.00' }],
    ['isCancelled', (script) => script.isCancelled(), '10.00', { payment_status: 'cancel' }],
    ['isFailed', (script) => script.isFailed(), '10.00', { payment_status: 'fail' }],
  ])('%s: ends so, whatever its amount says', async (_word, say, amount, end) => {
    say(caller.simulator.nextPayout());
    expect((await caller.create('A', amount)).status).toBe(200);
    const reply = await caller.until('A', (end as { payment_status: string }).payment_status);
    expect(reply.body).toMatchObject(end);
  });

  it('staysWaiting: waits until it is settled', async () => {
    caller.simulator.nextPayout().staysWaiting();
    await caller.create('A');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect((await caller.status('A')).body['payment_status']).toBe('wait');
    await caller.simulator.settle('A', 'cancel');
    expect((await caller.status('A')).body['payment_status']).toBe('cancel');
  });

  it('isRefused: is answered with the documented 400, and not recorded', async () => {
    caller.simulator.nextPayout().isRefused({ number: ['The card is blocked.'] });
    const errors = { number: ['The card is blocked.'] };
    expect(await caller.create('A')).toEqual({
      status: 400,
      body: { message: 'The given data was invalid.', errors },
    });
    expect(caller.simulator.accepted('A')).toBe(0);
  });

  it.each<[string, (script: PayoutScript) => unknown, number]>([
    ['isDropped', (script) => script.isDropped(), 1],
    ["isDropped('before')", (script) => script.isDropped('before'), 0],
  ])('%s: the connection is reset, and it is recorded %#', async (_word, say, accepted) => {
    say(caller.simulator.nextPayout());
    await expect(caller.create('A')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(caller.simulator.accepted('A')).toBe(accepted);
  });

  it('isAnswered: gets this answer, and is not recorded', async () => {
    caller.simulator.nextPayout().isAnswered(429, { message: 'Too many' });
    expect(await caller.create('A')).toEqual({ status: 429, body: { message: 'Too many' } });
    expect(caller.simulator.accepted('A')).toBe(0);
  });

  it('isInvisible: is recorded, and the status call does not find it', async () => {
    caller.simulator.nextPayout().isInvisible(60_000);
    await caller.create('A');
    expect([(await caller.status('A')).status, caller.simulator.accepted('A')]).toEqual([400, 1]);
  });

  it('isNeverAnswered: is recorded, and only the end of the connection ends the wait', async () => {
    caller.simulator.nextPayout().isNeverAnswered();
    const reply = caller.create('A').catch(() => 'cut off');
    while (caller.simulator.accepted('A') === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await caller.simulator.stop();
    expect(await reply).toBe('cut off');
  });

  it('takes several words at once, and only as often as it was said', async () => {
    caller.simulator.nextPayout({ times: 2 }).isFailed().isInvisible(1);
    for (const order of ['A', 'B']) await caller.create(order);
    await Promise.all([caller.until('A', 'fail'), caller.until('B', 'fail')]);
    await caller.create('C');
    expect((await caller.until('C', 'paid')).status).toBe(200);
  });

  it('of one order leaves the others alone', async () => {
    caller.simulator.nextPayout({ orderId: 'B' }).isFailed();
    await caller.create('A');
    await caller.create('B');
    expect((await caller.until('A', 'paid')).status).toBe(200);
    expect((await caller.until('B', 'fail')).status).toBe(200);
  });
});
