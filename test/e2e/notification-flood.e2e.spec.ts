import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { eventually, until } from '../helpers/until.js';
import { LogLines } from '../helpers/log.lines.js';
import { forgedQuery, signedQuery, signOf, withSign } from '../helpers/notification.query.js';
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

interface Genuine {
  id: string;
  query: string;
  /** One that leaves the payout open. */
  wait: string;
  /** One that names the payout. */
  forged: string;
}

/**
 * A genuine notification of a payout that is paid at the provider, whose own notification was lost.
 * @param options.name its order_id, if not the payout's.
 * @param options.silentChecks until polling is let through it says nothing; usually not at all.
 */
async function genuine({ name = '', silentChecks = 1_000 } = {}): Promise<Genuine> {
  const body = payload();
  const orderId = String(body['order_id']);
  host.simulator.script({ on: 'payout', orderId, notification: 'lost' });
  host.simulator.script({ on: 'status', orderId, answer: { status: 500 }, times: silentChecks });
  const { id } = await create(host, body);
  const { provider_id } = await host.until(id, 'wait');
  const ids = { id: provider_id, order_id: name || orderId };
  const query = signedQuery(host.simulator, ids);
  return {
    id,
    query,
    wait: signedQuery(host.simulator, { ...ids, payment_status: 'wait' }),
    forged: withSign(query, `AAAAAAAA${signOf(query).slice(8)}`),
  };
}

/** How it may come. */
const REQUESTS = [
  ['GET', get],
  ['POST form', post],
] as const;

describe('a flood of forged notifications', () => {
  it.each(REQUESTS)(
    'by %s is turned away with 503 and Retry-After once it has used up its share of the time',
    async (_, request) => {
      const forged = request(forgedQuery(host.simulator));
      const { head, body } = await turnedAway(forged, () => forged);
      expect(head).toContain('retry-after: 5');
      expect(JSON.parse(body)).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        code: 'overloaded',
        message: 'Too many notifications at once; this one was not looked at. Repeat it in a while.',
      });
    },
  );

  it('is answered slowly by then: those who are turned away get their answers in turn', async () => {
    const forged = get(forgedQuery(host.simulator));
    await turnedAway(forged, () => forged);
    const flood = Array.from({ length: BATCH }, () => forged);
    let [held, tookMs] = [0, 0];
    await until(async () => {
      const startedAt = performance.now();
      const answers = await pipeline(port, flood);
      tookMs = performance.now() - startedAt;
      held = answers.filter(({ status }) => status === 503).length;
      return held > 250;
    });
    expect(tookMs).toBeGreaterThan((Math.ceil(held / 250) - 1) * 1_000);
  });

  it('leaves the other endpoints open', async () => {
    const forged = get(forgedQuery(host.simulator));
    await turnedAway(forged, () => forged);
    await host.http().get('/alikassa/payouts').expect(200);
  });

  it('turns a genuine one away at times, whose payout the status call settles', async () => {
    const { forged } = await genuine();
    let last = { id: '', query: '' };
    await turnedAway(get(forged), async () => {
      last = await genuine({ silentChecks: 2 });
      return get(last.query);
    });
    await host.until(last.id, 'paid');
    expect((await historyOf(host, last.id)).at(-1)).toBe('check:wait->paid');
  });

  it('turns a genuine one away at times, if it is of no open payout of this process', async () => {
    const { query } = await genuine({ name: 'unknown here' });
    const { status } = await turnedAway(get(forgedQuery(host.simulator)), () => get(query));
    expect(status).toBe(503);
  });

  it.each(REQUESTS)('by %s does not turn a genuine one away that is of an open payout', async (_, request) => {
    const forged = request(forgedQuery(host.simulator));
    await turnedAway(forged, () => forged);
    const taken: { id: string; statuses: number[] }[] = [];
    // A busy machine may send them so slowly that none has to be turned away: that shows nothing, and is done again.
    await until(async () => {
      const { id, query, wait } = await genuine();
      // By chance one is verified now and then; not each of these.
      const flood = Array.from({ length: BATCH }, () => forged);
      const answers = await pipeline(port, [
        ...flood,
        ...Array.from({ length: 20 }, () => [...flood.slice(0, 20), request(wait)]).flat(),
        request(query),
      ]);
      const mixed = answers.slice(BATCH).map(({ status }) => status);
      taken.push({ id, statuses: mixed.filter((_, index) => index % 21 === 20 || index === mixed.length - 1) });
      return mixed.filter((status) => status === 503).length > 200;
    });
    for (const { id, statuses } of taken) {
      expect(statuses).toEqual(Array.from({ length: 21 }, () => 200));
      const { body } = (await host.http().get(`/alikassa/payouts/${id}`)) as { body: PayoutDto };
      expect(body.status).toBe('paid');
    }
  });

  it.each(REQUESTS)('by %s that names an open payout has a share of its own, and no more', async (_, request) => {
    const strange = request(forgedQuery(host.simulator));
    await turnedAway(strange, () => strange);
    const named = request((await genuine()).forged);
    expect((await turnedAway(named, () => named)).status).toBe(503);
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
    // 32 at work, 256 in wait: the 12 beyond are turned away at once.
    const statuses: number[] = [];
    const answers = Array.from({ length: 300 }, async () => {
      const { status } = await exchange(port, get(query));
      statuses.push(status);
    });
    await eventually('12 are turned away', () => statuses.length === 12);
    expect(new Set(statuses)).toEqual(new Set([503]));
    await host.http().get(`/alikassa/payouts/${id}`).expect(200);
    await blocker.query('COMMIT');
    blocker.release();
    await Promise.all(answers);
    expect(statuses.filter((status) => status === 200)).toHaveLength(288);
    await host.until(id, 'paid');
  });

  it('is logged in few lines, with how many', () => {
    const lines = log.lines.filter((line) => line.includes('refused'));
    expect(lines[0]).toContain('1 notification was refused: 1 bad signature.');
    expect(lines.length).toBeLessThan(20);
  });
});
