import { startApplication, prepare, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { EUR } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { etagOf } from '../helpers/people.js';
import { until } from '../helpers/until.js';

/** Two applications on one database: what pauses one pauses the other. */
let surroundings: TestSurroundings;
let one: TestApplication;
let two: TestApplication;
beforeEach(async () => {
  surroundings = await prepare({ options: { pauseMs: 700, checkSchedule: [3_600_000], leaseMs: 3_000 } });
  one = await startApplication({ surroundings, port: surroundings.port });
  two = await startApplication({ surroundings });
});
afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await surroundings.stop();
});

interface Shown {
  id: string;
  status: string;
  attention: string[];
}
async function create(host: TestApplication, changes: Record<string, unknown> = {}): Promise<string> {
  const { body } = await host.http().post('/alikassa/payouts').send(payload(changes));
  return (body as Shown).id;
}
const read = async (id: string): Promise<Shown> => (await one.http().get(`/alikassa/payouts/${id}`)).body as Shown;
const statusOf = async (id: string): Promise<string[]> => {
  const { status, attention } = await read(id);
  return [status, attention.join(' ')];
};
const sent = (): number => surroundings.simulator.requests.filter(({ endpoint }) => endpoint === 'payout').length;
const asked = (): number => surroundings.simulator.requests.filter(({ endpoint }) => endpoint === 'balance').length;

describe('a key that the provider does not accept', () => {
  it('pauses its account on all nodes; attention says why; it goes on when the balance can be asked for', async () => {
    const { simulator } = surroundings;
    simulator.script({ on: 'payout', accept: false, answer: { status: 401 } });
    simulator.script({ on: 'balance', answer: { status: 401 }, times: 2 });
    const refused = await create(one);
    await one.until(refused, 'unknown');
    expect(await statusOf(refused)).toEqual(['unknown', 'unauthorized']);
    const waiting = [await create(one), await create(two), await create(two)];
    for (const id of waiting) await until(async () => (await statusOf(id))[1] === 'paused_unauthorized');
    expect(sent()).toBe(1);
    // Another account of the same merchant is not held back.
    const extra = {
      card_exp_year: '30',
      card_exp_month: '12',
      card_holder: 'A B',
      card_country: 'DE',
      card_recipient_birth_date: '1990-01-01',
    };
    const other = await create(two, { account: EUR, number: '4111111111111111', service: 'payment_card_eur', extra });
    await two.until(other, 'paid');
    for (const id of waiting) {
      await one.until(id, 'paid');
      expect(await statusOf(id)).toEqual(['paid', '']);
    }
    expect(asked()).toBe(3);
    expect((await surroundings.database.pool.query('SELECT * FROM alikassa_account_pauses')).rows).toEqual([]);
    const types = await surroundings.database.pool.query(
      "SELECT count(*)::int AS n FROM alikassa_payout_events WHERE type = 'paused'",
    );
    expect(types.rows).toEqual([{ n: 3 }]);
  });

  it('that fails for payouts only costs one payout a round, and the rounds grow', async () => {
    const { simulator, database } = surroundings;
    simulator.script({ on: 'payout', accept: false, answer: { status: 403 }, times: 3 });
    const first = await create(one);
    await one.until(first, 'unknown');
    const waiting = await Promise.all(Array.from({ length: 6 }, (_, i) => create(i % 2 ? one : two)));
    const paused = async (): Promise<{ failures: number; ms: number } | undefined> => {
      const { rows } = await database.pool.query<{ failures: number; ms: number }>(
        `SELECT failures, (round(extract(epoch FROM paused_until - since), 1) * 1000)::int AS ms FROM alikassa_account_pauses
         WHERE NOT is_probing`,
      );
      return rows[0];
    };
    await until(async () => (await paused())?.failures === 2);
    expect([await paused(), sent()]).toEqual([{ failures: 2, ms: 1_400 }, 2]);
    await until(async () => (await paused())?.failures === 3);
    expect([await paused(), sent()]).toEqual([{ failures: 3, ms: 2_800 }, 3]);
    const states = async (): Promise<string[]> =>
      (await Promise.all(waiting.map(statusOf))).map(([status]) => status ?? '');
    await until(async () => (await states()).every((status) => status !== 'queued'));
    expect((await states()).filter((status) => status === 'unknown')).toHaveLength(2);
    for (const { order_id } of (
      await database.pool.query<{ order_id: string }>('SELECT order_id FROM alikassa_payouts')
    ).rows) {
      expect(simulator.accepted(order_id)).toBeLessThanOrEqual(1);
    }
  });
});

describe('429', () => {
  it('pauses the account for as long as Retry-After says', async () => {
    const { simulator, database } = surroundings;
    simulator.script({ on: 'payout', accept: false, answer: { status: 429, headers: { 'retry-after': '2' } } });
    const limited = await create(one);
    await one.until(limited, 'unknown');
    const { rows } = await database.pool.query(
      'SELECT reason, (extract(epoch FROM paused_until - since))::int AS seconds FROM alikassa_account_pauses',
    );
    expect(rows).toEqual([{ reason: 'rate_limited', seconds: 2 }]);
    const next = await create(two);
    await until(async () => (await statusOf(next))[1] === 'paused_rate_limited');
    expect(sent()).toBe(1);
    await two.until(next, 'paid');
    expect([asked(), simulator.accepted((await two.payouts.find(next)).orderId)]).toEqual([0, 1]);
  });

  it('to a status call pauses it too', async () => {
    const { simulator } = surroundings;
    const [held] = [await create(one, { amount: '9.04' })];
    await one.until(held, 'wait');
    simulator.script({ on: 'status', answer: { status: 429, headers: { 'retry-after': '2' } } });
    await one.http().post(`/alikassa/payouts/${held}/refresh`);
    const next = await create(two);
    await until(async () => (await statusOf(next))[1] === 'paused_rate_limited');
    await two.until(next, 'paid');
    expect(sent()).toBe(2);
  });
});

it('a payout that waits for its account can be withdrawn', async () => {
  surroundings.simulator.script({ on: 'payout', accept: false, answer: { status: 401 } });
  surroundings.simulator.script({ on: 'balance', answer: { status: 401 }, times: 50 });
  await one.until(await create(one), 'unknown');
  const waiting = await create(two);
  await until(async () => (await statusOf(waiting))[1] === 'paused_unauthorized');
  const withdraw = one.http().post(`/alikassa/payouts/${waiting}/withdraw`);
  await withdraw.set('If-Match', await etagOf(one, waiting)).expect(200);
  expect(await statusOf(waiting)).toEqual(['withdrawn', '']);
});
