import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { ListPayoutsDto, PayoutDto, PayoutEventDto } from '../../src/payouts/payout.dto.js';
import { EUR, RUB, startApplication, type TestApplication } from '../helpers/application.js';
import { etagOf } from '../helpers/people.js';

const CARD = '4111111111111111';
let host: TestApplication;

const body = (changes: object = {}) => ({
  account: RUB,
  amount: '1000.44',
  number: CARD,
  order_id: randomUUID(),
  service: 'payment_card_rub',
  ...changes,
});
const post = async (payload: object, status = 201): Promise<PayoutDto> => {
  const response = await host.http().post('/alikassa/payouts').send(payload);
  expect([response.status, response.status === status ? null : response.body]).toEqual([status, null]);
  return response.body as PayoutDto;
};
const eventsOf = async (id: string): Promise<PayoutEventDto[]> => {
  const response = await host.http().get(`/alikassa/payouts/${id}/events`).expect(200);
  return (response.body as { data: PayoutEventDto[] }).data;
};

beforeAll(async () => {
  host = await startApplication();
});
afterAll(async () => host.stop());

describe('a payout', () => {
  it('goes out, is accepted once, and comes back paid', async () => {
    const payload = body();
    const created = await post(payload);
    expect(created).toMatchObject({ status: 'queued', number: '411111******1111', amount: '1000.44', currency: 'RUB' });
    const paid = await host.until(created.id, 'paid');
    expect(paid).toMatchObject({ payment_amount: '1000.44', commission_amount: '10.00', is_partial_payment: false });
    expect(paid.provider_id).toMatch(/^\d+$/);
    expect(paid.settled_at).not.toBeNull();
    expect(host.simulator.accepted(payload.order_id)).toBe(1);
    const way = (await eventsOf(created.id)).map(({ to_status }) => to_status);
    expect(way).toEqual(['queued', 'sending', 'wait', 'paid']);
  });

  it('carries every optional field, Cyrillic included, under a signature that holds', async () => {
    const created = await post(
      body({
        notification_endpoint_url: `http://127.0.0.1:1/a/b?c=d`,
        customer_phone: '79001112233',
        customer_email: 'ivan@example.com',
        customer_code: 'sberbank',
        customer_first_name: 'Иван',
        customer_last_name: "О'Нил/😀",
      }),
    );
    await host.until(created.id, 'paid');
    expect(host.simulator.signatureFailures).toBe(0);
  });

  it.each([
    ['1.02', 'fail'],
    ['1.03', 'cancel'],
    ['1.01', 'rejected'],
  ])('of %s ends %s', async (amount, status) => {
    const created = await post(body({ amount }));
    await host.until(created.id, status);
  });

  it('from an EUR account carries its extra', async () => {
    const extra = {
      card_exp_year: '79',
      card_exp_month: '01',
      card_holder: 'CARDHOLDER NAME',
      card_country: 'UA',
      card_recipient_birth_date: '1999-12-15',
    };
    await post(body({ account: EUR }), 400);
    const created = await post(body({ account: EUR, service: 'payment_card_eur', extra }));
    await host.until(created.id, 'paid');
  });

  it('answered with 500 though accepted is unknown, then paid, and was sent once', async () => {
    const payload = body({ amount: '1.06' });
    const created = await post(payload);
    await host.until(created.id, 'paid');
    expect((await eventsOf(created.id)).map(({ to_status }) => to_status)).toContain('unknown');
    expect(host.simulator.accepted(payload.order_id)).toBe(1);
  });

  it('whose notification is lost is settled by polling', async () => {
    const payload = body();
    host.simulator.script({ on: 'payout', orderId: payload.order_id, notification: 'lost' });
    const created = await post(payload);
    await host.until(created.id, 'paid');
    expect((await eventsOf(created.id)).at(-1)).toMatchObject({ type: 'check' });
  });

  it('notified before its own submission is answered is settled', async () => {
    const payload = body();
    host.simulator.script({ on: 'payout', orderId: payload.order_id, notification: 'early' });
    const created = await post(payload);
    await host.until(created.id, 'paid');
  });

  it('waits for the first answer on request', async () => {
    const response = await host
      .http()
      .post('/alikassa/payouts')
      .set('Prefer', 'wait=10')
      .send(body({ amount: '1.04' }));
    expect((response.body as PayoutDto).status).toBe('wait');
  });
});

describe('a repeated create', () => {
  it('with the same content gives the same payout, with 200', async () => {
    const payload = body();
    const first = await post(payload);
    expect((await post(payload, 200)).id).toBe(first.id);
  });

  it('with other content is a conflict', async () => {
    const payload = body();
    await post(payload);
    const response = await host
      .http()
      .post('/alikassa/payouts')
      .send({ ...payload, amount: '1' });
    expect(response.body).toMatchObject({ statusCode: 409, error: 'Conflict', code: 'order_conflict' });
  });

  it('50 times at once makes one payout and one submission', async () => {
    const payload = body();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => host.http().post('/alikassa/payouts').send(payload)),
    );
    expect(new Set(answers.map((answer) => (answer.body as PayoutDto).id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    await host.until((answers[0]!.body as PayoutDto).id, 'paid');
    expect(host.simulator.accepted(payload.order_id)).toBe(1);
  });
});

describe("the host's transaction", () => {
  it('takes the payout with it when it rolls back', async () => {
    const payload = body();
    const work = host.app.get(DataSource).transaction(async (manager) => {
      await host.payouts.create(payload, { manager });
      throw new Error('the debit failed');
    });
    await expect(work).rejects.toThrow('the debit failed');
    const { data } = await host.payouts.list({ order_id: payload.order_id });
    expect(data).toEqual([]);
    const { rows } = await host.database.pool.query("SELECT 1 FROM alikassa_worker.jobs WHERE key LIKE '%submit%'");
    expect(rows).toEqual([]);
  });

  it('sends the payout once it commits, and not before', async () => {
    const payload = body();
    const payout = await host.app.get(DataSource).transaction(async (manager) => {
      const created = await host.payouts.create(payload, { manager });
      expect(host.simulator.accepted(payload.order_id)).toBe(0);
      return created;
    });
    await host.until(payout.id, 'paid');
  });
});

describe('an operator', () => {
  it('refreshes, resolves with a reason, and is named in the events', async () => {
    const payload = body();
    host.simulator.script({ on: 'payout', orderId: payload.order_id, drop: 'before' });
    const created = await post(payload);
    await host.until(created.id, 'unknown');
    const seen = await etagOf(host, created.id);
    const nameless = host.http().post(`/alikassa/payouts/${created.id}/resolve`).set('If-Match', seen);
    await nameless.send({ outcome: 'fail' }).expect(400);
    const resolved = await host
      .http()
      .post(`/alikassa/payouts/${created.id}/resolve`)
      .set('If-Match', await etagOf(host, created.id))
      .send({ outcome: 'fail', reason: 'support says it never arrived' })
      .expect(200);
    expect(resolved.body).toMatchObject({ status: 'fail', attention: [] });
    expect((await eventsOf(created.id)).at(-1)).toMatchObject({
      type: 'person',
      actor: 'tester',
      detail: { outcome: 'fail', reason: 'support says it never arrived' },
    });
  });

  it('resubmits the same order, byte for byte', async () => {
    const payload = body();
    host.simulator.script({ on: 'payout', orderId: payload.order_id, drop: 'before' });
    const created = await post(payload);
    await host.until(created.id, 'unknown');
    const decision = { outcome: 'resubmit', reason: 'support says it never arrived' };
    const resolve = host.http().post(`/alikassa/payouts/${created.id}/resolve`);
    await resolve
      .set('If-Match', await etagOf(host, created.id))
      .send(decision)
      .expect(200);
    await host.until(created.id, 'paid');
    expect(host.simulator.accepted(payload.order_id)).toBe(1);
  });

  it('asks for the status now', async () => {
    const created = await post(body({ amount: '7.04' }));
    await host.until(created.id, 'wait');
    const refreshed = await host.http().post(`/alikassa/payouts/${created.id}/refresh`).expect(200);
    expect((refreshed.body as PayoutDto).status).toBe('wait');
  });

  it('cannot withdraw what was sent', async () => {
    const created = await post(body({ amount: '8.04' }));
    await host.until(created.id, 'wait');
    const withdraw = host.http().post(`/alikassa/payouts/${created.id}/withdraw`);
    const response = await withdraw.set('If-Match', await etagOf(host, created.id)).expect(409);
    expect(response.body).toMatchObject({ code: 'state_conflict' });
  });
});

describe('reading', () => {
  it('pages through the list, newest first, each payout once', async () => {
    const ids: string[] = [];
    let cursor = '';
    do {
      const page = await host
        .http()
        .get(`/alikassa/payouts?limit=3${cursor && `&cursor=${cursor}`}`)
        .expect(200);
      const { data, next_cursor } = page.body as { data: PayoutDto[]; next_cursor: string | null };
      ids.push(...data.map(({ id }) => id));
      cursor = next_cursor ?? '';
    } while (cursor);
    const { rows } = await host.database.pool.query<{ id: string }>(
      'SELECT id FROM alikassa_payouts ORDER BY seq DESC',
    );
    expect(ids).toEqual(rows.map(({ id }) => id));
  });

  it('filters by order_id and status', async () => {
    const payload = body({ amount: '9.04' });
    const created = await post(payload);
    await host.until(created.id, 'wait');
    const found = await host.http().get('/alikassa/payouts').query({ order_id: payload.order_id, status: 'wait' });
    expect((found.body as { data: PayoutDto[] }).data.map(({ id }) => id)).toEqual([created.id]);
    const none = await host.http().get('/alikassa/payouts').query({ order_id: payload.order_id, status: 'paid' });
    expect((none.body as { data: PayoutDto[] }).data).toEqual([]);
  });

  it('takes null for a filter that is left out, as a host may give it', async () => {
    const none = { order_id: null, status: null, limit: null, cursor: null };
    const [some, all] = [await host.payouts.list(none as unknown as ListPayoutsDto), await host.payouts.list()];
    expect(some.data.length).toBeGreaterThan(5);
    expect(some.data.map(({ id }) => id)).toEqual(all.data.map(({ id }) => id));
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'status=lost', 'cursor=x', 'limit=1&limit=2', 'foo=1'])(
    'refuses ?%s',
    async (query) => {
      await host.http().get(`/alikassa/payouts?${query}`).expect(400);
    },
  );

  it('answers 404 for an unknown payout and 400 for what is no id', async () => {
    const missing = await host.http().get(`/alikassa/payouts/${randomUUID()}`).expect(404);
    expect(missing.body).toMatchObject({ statusCode: 404, error: 'Not Found', code: 'payout_not_found' });
    await host.http().get('/alikassa/payouts/1').expect(400);
  });

  it('asks the provider for balance and account', async () => {
    const balance = await host.http().get(`/alikassa/balance?account=${EUR}`).expect(200);
    expect(balance.body).toMatchObject({ currency: 'EUR' });
    const account = await host.http().get(`/alikassa/account?account=${RUB}`).expect(200);
    expect(account.body).toMatchObject({ is_allowed_payout: true });
    await host.http().get('/alikassa/balance').expect(400);
  });
});

describe('bad input', () => {
  it.each([
    [413, 'application/json', JSON.stringify({ order_id: 'x'.repeat(110_000) })],
    [400, 'application/json', '{"amount":'],
    [400, 'application/json', '[]'],
    [415, 'text/plain', '{}'],
    [400, 'application/json', '{"__proto__":{"amount":"1"}}'],
  ])('is answered with %i (%s)', async (status, type, text) => {
    const response = await host.http().post('/alikassa/payouts').set('Content-Type', type).send(text);
    expect(response.status).toBe(status);
    expect(response.body).toMatchObject({ statusCode: status });
  });

  it('names every field and never echoes the number', async () => {
    const response = await host
      .http()
      .post('/alikassa/payouts')
      .send(body({ amount: '1e3', number: '4111111111111112' }));
    expect(response.body).toMatchObject({ statusCode: 400, error: 'Bad Request', code: 'invalid_input' });
    expect(response.text).toContain('amount');
    expect(response.text).not.toContain('4111');
  });
});

describe('what is stored', () => {
  it('holds no recipient in the clear, in no table', async () => {
    const { rows } = await host.database.pool.query<{ line: string }>(`
      SELECT row_to_json(t)::text AS line FROM alikassa_payouts t
      UNION ALL SELECT row_to_json(t)::text FROM alikassa_payout_events t
      UNION ALL SELECT row_to_json(t)::text FROM alikassa_notifications t
      UNION ALL SELECT row_to_json(t)::text FROM alikassa_worker._private_jobs t`);
    const dump = rows.map(({ line }) => line).join('\n');
    expect(rows.length).toBeGreaterThan(50);
    for (const secret of [
      CARD,
      Buffer.from(CARD).toString('hex'),
      'Иван',
      'CARDHOLDER',
      '1999-12-15',
      'ivan@example',
    ]) {
      expect(dump).not.toContain(secret);
    }
  });
});
