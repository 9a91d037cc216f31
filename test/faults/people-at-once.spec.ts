import { startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { create, latch } from '../helpers/payout.checks.js';
import { until } from '../helpers/until.js';

let host: TestApplication;
beforeAll(async () => {
  const options = { checkSchedule: [100, 100, 100, 100, 100, 3_600_000], rejectAfterMs: 200, followUpSchedule: [] };
  host = await startApplication({ options });
});
afterAll(() => host.stop());

it.each(['resubmit', 'fail'] as const)(
  'the same %s twice at once, and the provider knows the order before it answers the question of one -> both are done',
  async (outcome) => {
    const body = payload();
    const orderId = String(body['order_id']);
    const { simulator, payouts } = host;
    simulator.script({ on: 'payout', orderId, drop: 'before' });
    const { id } = await create(host, body);
    await until(async () => {
      const { attention, dueAt } = await payouts.find(id);
      return attention.includes('not_found') && dueAt !== null && dueAt.getTime() > Date.now() + 60_000;
    });
    const { revision } = await payouts.find(id);
    const decide = () => payouts.resolve(id, { outcome, reason: 'support: it never arrived' }, { revision });
    const { held, letGo } = latch();
    const answer = { status: 200, body: '' };
    const questions = () => simulator.requests.filter((one) => one.endpoint === 'status' && one.orderId === orderId);
    const before = questions().length;
    simulator.script({ on: 'status', orderId, hold: held, answer });
    const slow = decide();
    await until(() => questions().length > before);

    await decide();
    if (outcome === 'resubmit') await until(() => simulator.accepted(orderId) === 1);
    const providerId = simulator.payouts.get(orderId)?.id ?? 900_000_001;
    answer.body = JSON.stringify({ id: providerId, order_id: orderId, payment_status: 'wait' });
    letGo();
    expect((await slow).id).toBe(id);
    expect((await payouts.events(id)).filter(({ decision }) => decision !== null)).toHaveLength(1);
  },
);
