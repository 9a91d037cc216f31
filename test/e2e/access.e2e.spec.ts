import { randomUUID } from 'node:crypto';
import type { PayoutEventDto } from '../../src/payouts/payout.dto.js';
import { RUB } from '../helpers/application.js';
import { seenBy } from '../helpers/people.js';
import { eventually } from '../helpers/until.js';
import { payload } from '../helpers/payload.js';
import { startReference, TOKENS, type ReferenceApplication } from '../helpers/reference.js';

const ID = randomUUID();
/** Method, path, the scope that it needs, and a body. */
const ENDPOINTS = [
  ['POST', 'payouts', 'payouts:create', payload()],
  ['GET', 'payouts', 'payouts:read', undefined],
  ['GET', `payouts/${ID}`, 'payouts:read', undefined],
  ['GET', `payouts/${ID}/events`, 'payouts:read', undefined],
  ['POST', `payouts/${ID}/refresh`, 'payouts:operate', {}],
  ['POST', `payouts/${ID}/withdraw`, 'payouts:create', {}],
  ['POST', `payouts/${ID}/resolve`, 'payouts:operate', { outcome: 'fail', reason: 'r' }],
  ['GET', `balance?account=${RUB}`, 'payouts:read', undefined],
  ['GET', `account?account=${RUB}`, 'payouts:read', undefined],
] as const;
const everything = [TOKENS.shop, TOKENS.reader, TOKENS.operator];

/** Without a worker nothing is sent: what is queued stays so. */
let quiet: ReferenceApplication;
let host: ReferenceApplication;

beforeAll(async () => {
  [quiet, host] = await Promise.all([startReference({ worker: { enabled: false } }), startReference()]);
});
afterAll(async () => {
  await Promise.all([quiet.stop(), host.stop()]);
});

const rows = async (): Promise<number> =>
  (await quiet.database.pool.query('SELECT 1 FROM alikassa_payouts UNION ALL SELECT 1 FROM alikassa_payout_events'))
    .rowCount ?? 0;

async function eventsOf(on: ReferenceApplication, id: unknown): Promise<PayoutEventDto[]> {
  const { body } = await on.call(TOKENS.reader.text, 'GET', `payouts/${String(id)}/events`);
  return body['data'] as PayoutEventDto[];
}

/** A payout that may have been sent, of which the provider knows nothing. */
async function unknown(): Promise<unknown> {
  const order = payload();
  host.simulator.script({ on: 'payout', orderId: String(order['order_id']), drop: 'before' });
  const { body } = await host.call(TOKENS.shop.text, 'POST', 'payouts', order);
  // By then nothing changes any more by itself.
  return eventually('a person is called', async () => {
    const answer = await host.call(TOKENS.reader.text, 'GET', `payouts/${String(body['id'])}`);
    return String(answer.body['attention']) === 'not_found' && body['id'];
  });
}

describe.each(ENDPOINTS)('%s %s', (method, path, scope, body) => {
  it('without a token is answered with 401 and how to come in, and does nothing', async () => {
    const before = await rows();
    const { status, headers, body: error } = await quiet.call(undefined, method, path, body);
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="alikassa"']);
    expect(error).toMatchObject({ statusCode: 401, error: 'Unauthorized', code: 'unauthenticated' });
    expect(await rows()).toBe(before);
  });

  it.each([
    ['an unknown token', 'Bearer guess'],
    ['a token without its last letter', `Bearer ${TOKENS.all.text.slice(0, -1)}`],
    ['a token and more', `Bearer ${TOKENS.all.text} x`],
    ['an empty token', 'Bearer '],
    ['another scheme', `Basic ${TOKENS.all.text}`],
    ['two tokens', `Bearer ${TOKENS.all.text}, Bearer ${TOKENS.all.text}`],
  ])('with %s is answered with 401, and does nothing', async (_, authorization) => {
    const before = await rows();
    const { status, headers } = await quiet.call(undefined, method, path, body, { authorization });
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="alikassa", error="invalid_token"']);
    expect(await rows()).toBe(before);
  });

  it(`lets in whose token has the scope ${scope}, and answers 403 to every other, naming the scope`, async () => {
    const before = await rows();
    for (const { text } of everything.filter(({ scopes }) => scopes !== scope)) {
      const { status, headers, body: error } = await quiet.call(text, method, path, body);
      const challenge = `Bearer realm="alikassa", error="insufficient_scope", scope="${scope}"`;
      expect([status, headers.get('www-authenticate')]).toEqual([403, challenge]);
      expect(error).toMatchObject({ error: 'Forbidden', code: 'forbidden', message: expect.stringContaining(scope) });
    }
    expect(await rows()).toBe(before);
    const owner = everything.find(({ scopes }) => scopes === scope);
    expect([401, 403]).not.toContain((await quiet.call(owner?.text, method, path, body)).status);
  });
});

describe('every write stands in the events with the name of its token', () => {
  it('create and withdraw', async () => {
    const { body } = await quiet.call(TOKENS.shop.text, 'POST', 'payouts', payload());
    const path = `payouts/${String(body['id'])}`;
    const seen = await seenBy(quiet, path);
    const withdrawn = await quiet.call(TOKENS.all.text, 'POST', `${path}/withdraw`, undefined, seen);
    expect([withdrawn.status, withdrawn.body['status']]).toEqual([200, 'withdrawn']);
    const events = await eventsOf(quiet, body['id']);
    expect(events.map(({ type, actor }) => `${type} ${actor}`)).toEqual(['created shop', 'withdrawal all']);
  });

  it('refresh, though the provider said nothing new', async () => {
    const { body } = await host.call(TOKENS.shop.text, 'POST', 'payouts', payload({ amount: '5.04' }), {
      prefer: 'wait=10',
    });
    expect(body['status']).toBe('wait');
    const before = (await eventsOf(host, body['id'])).length;
    const refreshed = await host.call(TOKENS.operator.text, 'POST', `payouts/${String(body['id'])}/refresh`);
    expect([refreshed.status, refreshed.body['status']]).toEqual([200, 'wait']);
    const added = (await eventsOf(host, body['id'])).slice(before);
    expect(added).toEqual([
      expect.objectContaining({ type: 'check', actor: 'operator', from_status: 'wait', to_status: 'wait' }),
    ]);
  });

  it('resolve, with its reason', async () => {
    const id = await unknown();
    const decision = { outcome: 'fail', reason: 'support says: it never arrived' };
    const path = `payouts/${String(id)}`;
    const seen = await seenBy(host, path);
    const { status } = await host.call(TOKENS.operator.text, 'POST', `${path}/resolve`, decision, seen);
    expect(status).toBe(200);
    expect((await eventsOf(host, id)).at(-1)).toMatchObject({ type: 'person', actor: 'operator', detail: decision });
  });

  it('but what the machine does carries no name', async () => {
    const { body } = await host.call(TOKENS.shop.text, 'POST', 'payouts', payload(), { prefer: 'wait=10' });
    const [, ...own] = await eventually('the payout is paid', async () => {
      const events = await eventsOf(host, body['id']);
      return events.at(-1)?.to_status === 'paid' && events;
    });
    expect(own.map(({ actor }) => actor)).toEqual(own.map(() => null));
  });
});

describe('resolve', () => {
  it.each([{ outcome: 'fail' }, { outcome: 'fail', reason: '' }, { outcome: 'fail', reason: ' \u00a0 ' }])(
    'without a reason (%j) is refused, and changes nothing',
    async (decision) => {
      const id = await unknown();
      const before = await eventsOf(host, id);
      const path = `payouts/${String(id)}`;
      const seen = await seenBy(host, path);
      const { status, body } = await host.call(TOKENS.operator.text, 'POST', `${path}/resolve`, decision, seen);
      expect([status, JSON.stringify(body['message'])]).toEqual([400, expect.stringContaining('reason')]);
      const people = (events: PayoutEventDto[]) => events.filter(({ type }) => type === 'person');
      expect(people(await eventsOf(host, id))).toEqual(people(before));
    },
  );
});
