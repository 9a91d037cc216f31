import { randomUUID } from 'node:crypto';
import type { PayoutDto, PayoutEventDto } from '../../src/payouts/payout.dto.js';
import { RUB, startApplication, type TestApplication } from '../helpers/application.js';
import { blocked } from '../helpers/database.locks.js';

const PATH = '/alikassa/notifications';
let host: TestApplication;

beforeAll(async () => {
  // Nothing but notifications settles here: the polling is far away.
  host = await startApplication({ options: { checkSchedule: [3_600_000] } });
});
afterAll(async () => host.stop());

/** A payout that the provider holds in `wait`. */
async function waiting(): Promise<PayoutDto> {
  const payload = { account: RUB, amount: '12.04', number: '79005554455', order_id: randomUUID(), service: 'qiwi_rub' };
  const response = await host.http().post('/alikassa/payouts').set('Prefer', 'wait=10').send(payload);
  return response.body as PayoutDto;
}

const queryFor = (payout: PayoutDto, changes: Record<string, string | null> = {}): string =>
  host.simulator.signedNotificationQuery({
    type: 'payout',
    id: payout.provider_id,
    order_id: payout.order_id,
    payment_status: 'paid',
    amount: payout.amount,
    payment_amount: payout.amount,
    commission_amount: '0.12',
    is_partial_payment: '0',
    account: RUB,
    service: payout.service,
    desc: null,
    ...changes,
  });
const read = async (id: string): Promise<PayoutDto> =>
  (await host.http().get(`/alikassa/payouts/${id}`)).body as PayoutDto;
const eventsOf = async (id: string): Promise<PayoutEventDto[]> =>
  ((await host.http().get(`/alikassa/payouts/${id}/events`)).body as { data: PayoutEventDto[] }).data;
const inbox = async (orderId: string): Promise<{ result: string; received_count: number }[]> =>
  (
    await host.database.pool.query('SELECT result, received_count FROM alikassa_notifications WHERE order_id = $1', [
      orderId,
    ])
  ).rows as { result: string; received_count: number }[];

describe('a notification', () => {
  it('by GET settles the payout', async () => {
    const payout = await waiting();
    await host
      .http()
      .get(`${PATH}?${queryFor(payout)}`)
      .expect(200);
    expect(await read(payout.id)).toMatchObject({ status: 'paid', commission_amount: '0.12' });
  });

  it('by POST form settles the payout', async () => {
    const payout = await waiting();
    await host.http().post(PATH).type('form').send(queryFor(payout)).expect(200);
    expect((await read(payout.id)).status).toBe('paid');
  });

  it('100 times at once makes one transition and one event, and is counted', async () => {
    const payout = await waiting();
    const query = queryFor(payout);
    const answers = await Promise.all(Array.from({ length: 100 }, () => host.http().get(`${PATH}?${query}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await eventsOf(payout.id)).filter(({ type }) => type === 'notification')).toHaveLength(1);
    expect(await inbox(payout.order_id)).toEqual([{ result: 'settled', received_count: 100 }]);
  });

  it('that comes several times before any of them is written makes one transition', async () => {
    const payout = await waiting();
    const query = queryFor(payout);
    const blocker = await host.database.pool.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [payout.id]);
    const answers = Promise.all(Array.from({ length: 5 }, () => host.http().get(`${PATH}?${query}`)));
    await blocked(host.database.pool, 'UPDATE "alikassa_payouts"');
    // What was sent before this is read has been read, too.
    expect((await read(payout.id)).status).toBe('wait');
    await blocker.query('COMMIT');
    blocker.release();
    expect((await answers).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect((await eventsOf(payout.id)).filter(({ type }) => type === 'notification')).toHaveLength(1);
  });

  it('out of order leaves a final status as it is', async () => {
    const payout = await waiting();
    await host
      .http()
      .get(`${PATH}?${queryFor(payout)}`)
      .expect(200);
    await host
      .http()
      .get(`${PATH}?${queryFor(payout, { payment_status: 'wait' })}`)
      .expect(200);
    expect(await read(payout.id)).toMatchObject({ status: 'paid', attention: [] });
  });

  it('against a final status calls a person and changes nothing', async () => {
    const payout = await waiting();
    await host
      .http()
      .get(`${PATH}?${queryFor(payout)}`)
      .expect(200);
    await host
      .http()
      .get(`${PATH}?${queryFor(payout, { payment_status: 'fail' })}`)
      .expect(200);
    expect(await read(payout.id)).toMatchObject({ status: 'paid', attention: ['conflict_status'] });
  });

  it('of another amount, id or account settles nothing', async () => {
    const others: Record<string, string>[] = [{ amount: '12.05' }, { id: '1' }, { account: randomUUID() }];
    for (const changes of others) {
      const payout = await waiting();
      await host
        .http()
        .get(`${PATH}?${queryFor(payout, changes)}`)
        .expect(200);
      expect((await read(payout.id)).status).toBe('wait');
    }
  });

  it('of a payment, validly signed, touches no payout', async () => {
    const payout = await waiting();
    await host
      .http()
      .get(`${PATH}?${queryFor(payout, { type: 'payment' })}`)
      .expect(200);
    expect((await read(payout.id)).status).toBe('wait');
    expect(await inbox(payout.order_id)).toEqual([{ result: 'ignored', received_count: 1 }]);
  });

  it('for an order that is not ours is acknowledged, kept and counted', async () => {
    const payout = await waiting();
    const order = randomUUID();
    await host
      .http()
      .get(`${PATH}?${queryFor(payout, { order_id: order })}`)
      .expect(200);
    expect(await inbox(order)).toEqual([{ result: 'unmatched', received_count: 1 }]);
  });

  it('with a signature of other content is refused with 403 and not kept', async () => {
    const payout = await waiting();
    const forged = queryFor(payout).replace('payment_status=paid', 'payment_status=fail');
    const response = await host.http().get(`${PATH}?${forged}`).expect(403);
    expect(response.body).toMatchObject({ statusCode: 403, error: 'Forbidden', code: 'signature_invalid' });
    expect(await inbox(payout.order_id)).toEqual([]);
  });

  it.each([
    ['no sign', (query: string) => query.replace(/&sign=.*/, '')],
    ['sign twice', (query: string) => `${query}&sign=AAAA`],
    ['a repeated parameter', (query: string) => `${query}&amount=1`],
    ['over 8 KB', (query: string) => `${query}&x=${'x'.repeat(8_192)}`],
    ['nothing', () => ''],
  ])('with %s is refused with 400', async (_, spoil) => {
    const payout = await waiting();
    const response = await host
      .http()
      .get(`${PATH}?${spoil(queryFor(payout))}`)
      .expect(400);
    expect(response.body).toMatchObject({ code: 'notification_malformed' });
    expect(await inbox(payout.order_id)).toEqual([]);
  });

  it('by HEAD changes nothing', async () => {
    const payout = await waiting();
    await host
      .http()
      .head(`${PATH}?${queryFor(payout)}`)
      .expect(405);
    expect((await read(payout.id)).status).toBe('wait');
    expect(await inbox(payout.order_id)).toEqual([]);
  });
});
