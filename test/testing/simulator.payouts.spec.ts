import { NUMBER, startSimulator, type ProviderCaller } from './provider.caller.js';

describe('what becomes of a payout at the simulator', () => {
  let caller: ProviderCaller;

  beforeEach(async () => {
    caller = await startSimulator();
  });
  afterEach(() => caller.simulator.stop());

  it.each([
    ['10.00', 'paid', '10.00'],
    ['10.07', 'paid', '10.07'],
    ['10.02', 'fail', '0.00'],
    ['10.03', 'cancel', '0.00'],
    ['100.05', 'paid', '90.04'],
  ])('settles %s as %s by its cents', async (amount, status, paid) => {
    expect((await caller.create('rule', amount)).status).toBe(200);
    const { body } = await caller.until('rule', status);
    expect(body).toMatchObject({ amount, payment_amount: paid, is_partial_payment: amount === '100.05' });
  });

  it('refuses an amount that ends in .01 and records nothing', async () => {
    expect((await caller.create('refused', '10.01')).status).toBe(400);
    expect(caller.simulator.accepted('refused')).toBe(0);
    expect((await caller.status('refused')).status).toBe(400);
  });

  it('keeps .04 at wait until it is settled by hand', async () => {
    await caller.create('held', '10.04');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect((await caller.status('held')).body['payment_status']).toBe('wait');
    await caller.simulator.settle('held', 'cancel');
    expect((await caller.status('held')).body['payment_status']).toBe('cancel');
  });

  it('answers .06 with 500 although it is accepted and paid', async () => {
    expect((await caller.create('hidden', '10.06')).status).toBe(500);
    expect(caller.simulator.accepted('hidden')).toBe(1);
    await caller.until('hidden', 'paid');
  });

  it('lets rules replace those by amount', async () => {
    const other = await startSimulator({ rules: ({ order_id }) => (order_id === 'no' ? 'fail' : 'paid') });
    try {
      await other.create('no', '10.00');
      await other.until('no', 'fail');
      expect(other.simulator.payouts.get('no')?.payment_status).toBe('fail');
    } finally {
      await other.simulator.stop();
    }
  });

  it('gives ids upwards from the one in the provider\u2019s example', async () => {
    expect((await caller.create('first')).body['id']).toBe(100_001_524);
    expect((await caller.create('second')).body['id']).toBe(100_001_525);
  });

  it('finds a payout by its id too', async () => {
    const { body } = await caller.create('by-id');
    const found = await caller.call('/v1/payout/status', `{"id":${String(body['id'])}}`);
    expect(found.body['order_id']).toBe('by-id');
  });

  it('holds the amount while it waits, deducts it when paid and releases it when it failed', async () => {
    const balance = async (): Promise<Record<string, unknown>> => (await caller.call('/v1/account/balance', '[]')).body;
    await caller.create('pays', '100.04');
    await caller.create('fails', '50.04');
    expect(await balance()).toMatchObject({ currency: 'RUB', balance: '849.92000000', hold: '150.08000000' });
    await caller.simulator.settle('pays', 'paid');
    await caller.simulator.settle('fails', 'fail');
    expect(await balance()).toMatchObject({ balance: '899.96000000', hold: '0.00000000' });
  });

  it('keeps the number of no recipient', async () => {
    await caller.create('masked');
    const { body } = await caller.until('masked', 'paid');
    const kept = JSON.stringify([body, [...caller.simulator.payouts.values()], caller.simulator.requests]);
    expect(kept.includes(NUMBER)).toBe(false);
    expect(String(body['card_mask']).endsWith(NUMBER.slice(-4))).toBe(true);
  });
});
