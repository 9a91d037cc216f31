import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';
import { signedQuery } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { create, historyOf, latch, type Accepted } from '../helpers/payout.checks.js';

const HELD = '12.04';
let host: TestApplication;

beforeAll(async () => {
  // Polling is far away: whatever asks for the status was asked to by a notification.
  host = await startApplication({ options: { confirmNotifications: true, checkSchedule: [3_600_000] } });
});
afterAll(async () => host.stop());

/** A payout that the provider holds in `wait`, until it is settled there. */
async function waiting(): Promise<Accepted> {
  const payout = await create(host, payload({ amount: HELD }));
  await host.until(payout.id, 'wait');
  return payout;
}

async function notify({ id, orderId }: Accepted, changes: Record<string, string | null> = {}): Promise<number> {
  const { body } = (await host.http().get(`/alikassa/payouts/${id}`)) as { body: PayoutDto };
  const query = signedQuery(host.simulator, {
    id: body.provider_id,
    order_id: orderId,
    amount: body.amount,
    payment_amount: body.amount,
    ...changes,
  });
  return (await host.http().get(`/alikassa/notifications?${query}`)).status;
}

const statusCalls = (orderId: string): number =>
  host.simulator.requests.filter((seen) => seen.endpoint === 'status' && seen.orderId === orderId).length;
const isIdle = async (id: string): Promise<boolean> =>
  (
    await host.database.pool.query(
      `SELECT 1 FROM alikassa_worker.jobs WHERE key = 'alikassa_check:' || $1 AND run_at <= now()`,
      [id],
    )
  ).rowCount === 0;
async function inbox(orderId: string): Promise<unknown[]> {
  const sql = 'SELECT result, received_count FROM alikassa_notifications WHERE order_id = $1 ORDER BY id';
  return (await host.database.pool.query(sql, [orderId])).rows;
}

describe('with confirmNotifications, a notification', () => {
  it('has the status call asked at once, which settles', async () => {
    // Not before the attempt's own answer is written: a notification that overtakes it is left to polling.
    const payout = await waiting();
    await host.simulator.settle(payout.orderId, 'paid');
    await host.until(payout.id, 'paid');
    expect(await historyOf(host, payout.id)).toEqual([
      'created:->queued',
      'claimed:queued->sending',
      'submission:sending->wait',
      'notification:wait->wait',
      'check:wait->paid',
    ]);
    expect(await inbox(payout.orderId)).toEqual([{ result: 'hinted', received_count: 1 }]);
  });

  it('that says paid, validly signed, settles nothing while the status call says wait', async () => {
    const payout = await waiting();
    expect(await notify(payout)).toBe(200);
    await eventually(
      'the status was asked',
      async () => statusCalls(payout.orderId) === 1 && (await isIdle(payout.id)),
    );
    const { body } = (await host.http().get(`/alikassa/payouts/${payout.id}`)) as { body: PayoutDto };
    expect(body).toMatchObject({ status: 'wait', payment_amount: null, attention: [] });
  });

  it('that says fail does not keep the status call from saying paid', async () => {
    const payout = await waiting();
    host.simulator.script({ on: 'status', orderId: payout.orderId, answer: { status: 500 } });
    await host.simulator.settle(payout.orderId, 'paid');
    await eventually('the status was asked', () => statusCalls(payout.orderId) === 1);
    expect(await notify(payout, { payment_status: 'fail' })).toBe(200);
    await host.until(payout.id, 'paid');
  });

  it('that comes again has nothing asked again', async () => {
    const payout = await waiting();
    for (let time = 0; time < 5; time += 1) {
      expect(await notify(payout)).toBe(200);
      await eventually(
        'the status was asked',
        async () => statusCalls(payout.orderId) > 0 && (await isIdle(payout.id)),
      );
    }
    expect(statusCalls(payout.orderId)).toBe(1);
    expect(await inbox(payout.orderId)).toEqual([{ result: 'hinted', received_count: 5 }]);
  });

  it('is answered before the status call is', async () => {
    const payout = await waiting();
    const { held, letGo } = latch();
    host.simulator.script({ on: 'status', orderId: payout.orderId, hold: held });
    expect(await notify(payout)).toBe(200);
    await eventually('the status is being asked', () => statusCalls(payout.orderId) === 1);
    letGo();
    await eventually('it was answered', () => isIdle(payout.id));
  });
});
