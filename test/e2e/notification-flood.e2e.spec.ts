import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';
import { LogLines } from '../helpers/log.lines.js';
import { forgedQuery, signedQuery } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { create, historyOf } from '../helpers/payout.checks.js';
import { exchange, pipeline, requestText, type RawAnswer } from '../helpers/raw.http.js';

const PATH = '/alikassa/notifications';
const BATCH = 1_000;
const log = new LogLines();
let host: TestApplication;
let port: number;

beforeAll(async () => {
  host = await startApplication({ logger: log });
  port = Number(new URL(await host.app.getUrl()).port);
});
afterAll(async () => host.stop());

const get = (query: string): string => requestText('GET', `${PATH}?${query}`);
const post = (query: string): string => requestText('POST', PATH, query);

/** Forged ones without end, and one request more right behind, until that one is turned away. */
async function turnedAway(forged: string, last: () => Promise<string> | string): Promise<RawAnswer> {
  const flood = Array.from({ length: BATCH }, () => forged);
  return eventually('it was turned away', async () => {
    const answer = (await pipeline(port, [...flood, await last()])).at(-1);
    return answer?.status === 503 && answer;
  });
}

/** A genuine notification of a payout that is paid at the provider, whose own notification was lost. */
async function genuine(): Promise<{ id: string; query: string }> {
  const body = payload();
  const orderId = String(body['order_id']);
  host.simulator.script({ on: 'payout', orderId, notification: 'lost' });
  // Until polling is let through it says nothing.
  host.simulator.script({ on: 'status', orderId, answer: { status: 500 }, times: 2 });
  const { id } = await create(host, body);
  const { provider_id } = await host.until(id, 'wait');
  return { id, query: signedQuery(host.simulator, { id: provider_id, order_id: orderId }) };
}

describe('a flood of forged notifications', () => {
  it.each([
    ['GET', get],
    ['POST form', post],
  ])('by %s is turned away with 503 and Retry-After once it has used up its share of the time', async (_, request) => {
    const forged = request(forgedQuery(host.simulator));
    const { head, body } = await turnedAway(forged, () => forged);
    expect(head).toContain('retry-after: 5');
    expect(JSON.parse(body)).toEqual({
      statusCode: 503,
      error: 'Service Unavailable',
      code: 'overloaded',
      message: 'Too many notifications at once; this one was not looked at. Repeat it in a while.',
    });
  });

  it('leaves the other endpoints open', async () => {
    const forged = get(forgedQuery(host.simulator));
    await turnedAway(forged, () => forged);
    await host.http().get('/alikassa/payouts').expect(200);
  });

  it('turns a genuine one away at times, whose payout the status call settles', async () => {
    let last = { id: '', query: '' };
    await turnedAway(get(forgedQuery(host.simulator)), async () => {
      last = await genuine();
      return get(last.query);
    });
    await host.until(last.id, 'paid');
    expect((await historyOf(host, last.id)).at(-1)).toBe('check:wait->paid');
  });

  it('is forgotten soon: a genuine one is taken again', async () => {
    const forged = get(forgedQuery(host.simulator));
    await turnedAway(forged, () => forged);
    const { id, query } = await genuine();
    await eventually('it is taken', async () => (await host.http().get(`${PATH}?${query}`)).status === 200);
    const { body } = (await host.http().get(`/alikassa/payouts/${id}`)) as { body: PayoutDto };
    expect(body.status).toBe('paid');
  });

  it('of replays waits for its turn, and leaves connections to the database for others', async () => {
    const body = payload({ amount: '12.04' });
    const { id } = await create(host, body);
    const { provider_id, amount } = await host.until(id, 'wait');
    const query = signedQuery(host.simulator, {
      id: provider_id,
      order_id: String(body['order_id']),
      amount,
      payment_amount: amount,
    });
    const blocker = await host.database.pool.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [id]);
    // 5 at work, 256 in wait: the 39 beyond are turned away at once.
    const statuses: number[] = [];
    const answers = Array.from({ length: 300 }, async () => {
      const { status } = await exchange(port, get(query));
      statuses.push(status);
    });
    await eventually('39 are turned away', () => statuses.length === 39);
    expect(new Set(statuses)).toEqual(new Set([503]));
    await host.http().get(`/alikassa/payouts/${id}`).expect(200);
    await blocker.query('COMMIT');
    blocker.release();
    await Promise.all(answers);
    expect(statuses.filter((status) => status === 200)).toHaveLength(261);
    await host.until(id, 'paid');
  });

  it('is logged in few lines, with how many', () => {
    const lines = log.lines.filter((line) => line.includes('refused'));
    expect(lines[0]).toContain('1 notification was refused: 1 bad signature.');
    expect(lines.length).toBeLessThan(20);
  });
});
