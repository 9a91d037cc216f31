import { EUR, RUB, startSimulator, type ProviderCaller } from './provider.caller.js';

describe('what the simulator demands of a request', () => {
  let caller: ProviderCaller;

  beforeAll(async () => {
    caller = await startSimulator({ rules: () => 'hold' });
  });
  afterAll(() => caller.simulator.stop());

  const errorsOf = (body: Record<string, unknown>): string[] => Object.keys(body['errors'] as object);

  it('accepts a request that is signed with SHA-1 and answers wait with an integer id', async () => {
    const { status, body } = await caller.create('signed');
    expect(status).toBe(200);
    expect(body).toEqual({ payment_status: 'wait', id: expect.any(Number) });
  });

  it('refuses and counts a signature that belongs to another body', async () => {
    const before = caller.simulator.signatureFailures;
    const { status } = await caller.create('other-body', '10.00', '', { signed: '{"amount":"9.00"}' });
    expect(status).toBe(403);
    expect(caller.simulator.signatureFailures).toBe(before + 1);
    expect(caller.simulator.accepted('other-body')).toBe(0);
  });

  it('refuses a signed body that PHP would have encoded in another way', async () => {
    expect((await caller.create('a/b')).status).toBe(403);
    expect((await caller.create('a\\/c')).status).toBe(200);
  });

  it('refuses SHA-256 unless it is the digest that was set', async () => {
    expect((await caller.create('sha256-refused', '10.00', '', { digest: 'sha256' })).status).toBe(403);
    const other = await startSimulator({ digest: 'sha256', rules: () => 'hold' });
    try {
      expect((await other.create('sha256', '10.00', '', { digest: 'sha256' })).status).toBe(200);
      expect((await other.create('sha1', '10.00', '', { digest: 'sha1' })).status).toBe(403);
    } finally {
      await other.simulator.stop();
    }
  });

  it.each([
    ['an unknown account', { Account: '00000000-0000-0000-0000-000000000000' }, 403],
    ['another User-Agent', { 'User-Agent': 'axios' }, 403],
    ['another Content-Type', { 'Content-Type': 'text/plain' }, 415],
  ])('refuses %s', async (_name, headers, status) => {
    expect((await caller.create('headers', '10.00', '', { headers })).status).toBe(status);
    expect(caller.simulator.accepted('headers')).toBe(0);
  });

  it('names every required field that is missing', async () => {
    const { status, body } = await caller.call('/v1/payout', '{"amount":"1.00"}');
    expect(status).toBe(400);
    expect(body['message']).toBe('The given data was invalid.');
    expect(errorsOf(body).toSorted()).toEqual(['number', 'order_id', 'service']);
  });

  it('names the field that is beyond its limit', async () => {
    expect(errorsOf((await caller.create('o'.repeat(129))).body)).toEqual(['order_id']);
    expect((await caller.create('o'.repeat(128))).status).toBe(200);
    expect(errorsOf((await caller.create('cents', '1.001')).body)).toEqual(['amount']);
    expect(errorsOf((await caller.create('endpoint', '1.00', ',"notification_endpoint_id":"5"')).body)).toEqual([
      'notification_endpoint_id',
    ]);
  });

  it('demands all five fields of extra on an EUR account, and none on another', async () => {
    const { status, body } = await caller.create('eur-bare', '10.00', '', { account: EUR });
    expect(status).toBe(400);
    expect(errorsOf(body).toSorted()).toEqual([
      'extra.card_country',
      'extra.card_exp_month',
      'extra.card_exp_year',
      'extra.card_holder',
      'extra.card_recipient_birth_date',
    ]);
    const extra =
      ',"extra":{"card_exp_year":"24","card_exp_month":"01","card_holder":"CARDHOLDER NAME","card_country":"UA",' +
      '"card_recipient_birth_date":"1999-12-15"}';
    expect((await caller.create('eur-full', '10.00', extra, { account: EUR })).status).toBe(200);
    expect((await caller.create('rub-bare', '10.00', '', { account: RUB })).status).toBe(200);
  });

  it('names order_id when it was used before, and accepts it once', async () => {
    await caller.create('twice');
    const { status, body } = await caller.create('twice');
    expect(status).toBe(400);
    expect(errorsOf(body)).toEqual(['order_id']);
    expect(caller.simulator.accepted('twice')).toBe(1);
  });

  it('names the field by which an unknown payout was asked for', async () => {
    const byOrder = await caller.status('nobody');
    const byId = await caller.call('/v1/payout/status', '{"id":1}');
    expect([byOrder.status, ...errorsOf(byOrder.body)]).toEqual([400, 'order_id']);
    expect([byId.status, ...errorsOf(byId.body)]).toEqual([400, 'id']);
  });

  it('does not show a payout to another account', async () => {
    await caller.create('rub-only');
    expect((await caller.status('rub-only')).status).toBe(200);
    expect((await caller.status('rub-only', { account: EUR })).status).toBe(400);
  });

  it('tells what an account may do', async () => {
    const { status, body } = await caller.call('/v1/account/info', '[]');
    expect(status).toBe(200);
    expect(body).toMatchObject({ is_allowed_payout: true, payouts: [{ currency: 'RUB', status: 'active' }] });
  });

  it('answers a path that is not the provider\u2019s with 404', async () => {
    expect((await caller.call('/v1/payouts', '[]')).status).toBe(404);
  });
});
