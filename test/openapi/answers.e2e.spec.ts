import { randomUUID } from 'node:crypto';
import type { OpenAPIObject } from '@nestjs/swagger';
import { forgedQuery, signedQuery } from '../helpers/notification.query.js';
import { OpenApiChecker } from '../helpers/openapi.js';
import { payload } from '../helpers/payload.js';
import { seenBy } from '../helpers/people.js';
import { startReference, TOKENS, type Answer, type ReferenceApplication } from '../helpers/reference.js';
import { RUB } from '../helpers/application.js';
import { eventually } from '../helpers/until.js';

/** Not provoked on every endpoint: their body is the same everywhere. */
const ANYWHERE = new Set(['500', '503']);
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const SEEN = { 'if-match': '"1"' };
const TOO_LARGE = JSON.stringify({ reason: 'x'.repeat(200_000) });

/** Without a worker: what is queued stays so. */
let quiet: ReferenceApplication;
let host: ReferenceApplication;
let api: OpenApiChecker;
const seen = new Set<string>();

beforeAll(async () => {
  [quiet, host] = await Promise.all([startReference({ worker: { enabled: false } }), startReference()]);
  const answer = await fetch(`${host.url.replace('/alikassa', '')}/docs-json`);
  api = new OpenApiChecker((await answer.json()) as OpenAPIObject);
});
afterAll(async () => {
  await Promise.all([quiet.stop(), host.stop()]);
});

type Call = [method: string, path: string, body?: unknown, headers?: object];

/** One request; its answer must have the status, and be as the document says. */
async function expectAnswer(
  status: number,
  [method, path, body, headers]: Call,
  { on = host, token = TOKENS.all.text }: { on?: ReferenceApplication; token?: string | undefined } = {},
): Promise<Answer['body']> {
  const answer = await on.call(token || undefined, method, path, body, headers);
  expect({ status: answer.status, text: answer.text }).toEqual({ status, text: answer.text });
  const place = `/alikassa/${path}`;
  expect(api.faultsOf(method, place, status, answer.body)).toEqual([]);
  const template = place.replace(/\?.*$/, '').replace(/[0-9a-f-]{36}/, '{id}');
  seen.add(`${method.toLowerCase()} ${template} ${status}`);
  return answer.body;
}

/** A payout that may have been sent, of which the provider knows nothing. */
async function unknown(): Promise<string> {
  const order = payload();
  host.simulator.script({ on: 'payout', orderId: String(order['order_id']), drop: 'before' });
  const { id } = await expectAnswer(201, ['POST', 'payouts', order]);
  // By then nothing changes any more by itself.
  return eventually('a person is called', async () => {
    const { body } = await host.call(TOKENS.all.text, 'GET', `payouts/${String(id)}`);
    return String(body['attention']) === 'not_found' && String(id);
  });
}

describe('every answer of the reference application is as its document says', () => {
  it('of a payout from create to its end, repeated, listed, searched, with its history', async () => {
    const order = payload();
    const { id } = await expectAnswer(201, ['POST', 'payouts', order, { prefer: 'wait=10' }]);
    await expectAnswer(200, ['POST', 'payouts', order]);
    await eventually('the payout is paid', async () => {
      const { status } = await expectAnswer(200, ['GET', `payouts/${String(id)}`]);
      return status === 'paid';
    });
    await expectAnswer(200, ['GET', `payouts/${String(id)}/events`]);
    await expectAnswer(200, ['GET', 'payouts?limit=1&status=paid']);
    const found = await expectAnswer(200, ['POST', 'payouts/search', { number: order['number'], limit: 5 }]);
    expect(found['data']).not.toEqual([]);
    await expectAnswer(200, ['POST', `payouts/${String(id)}/refresh`]);
    const path = `payouts/${String(id)}`;
    await expectAnswer(409, ['POST', `${path}/withdraw`, undefined, await seenBy(host, path)]);
    await expectAnswer(409, ['POST', 'payouts', { ...order, amount: '13' }]);
  });

  it('of a payout that is withdrawn', async () => {
    const { id } = await expectAnswer(201, ['POST', 'payouts', payload()], { on: quiet });
    await expectAnswer(200, ['POST', `payouts/${String(id)}/refresh`], { on: quiet });
    const path = `payouts/${String(id)}`;
    await expectAnswer(428, ['POST', `${path}/withdraw`], { on: quiet });
    const seen = await seenBy(quiet, path);
    await expectAnswer(412, ['POST', `${path}/withdraw`, undefined, { 'if-match': '"7"' }], { on: quiet });
    await expectAnswer(412, ['POST', `${path}/refresh`, undefined, { 'if-match': '"7"' }], { on: quiet });
    await expectAnswer(200, ['POST', `${path}/withdraw`, undefined, seen], { on: quiet });
    await expectAnswer(200, ['GET', `${path}/events`], { on: quiet });
  });

  it('of a payout that a person decides on', async () => {
    const payout = `payouts/${await unknown()}`;
    const path = `${payout}/resolve`;
    const seen = await seenBy(host, payout);
    await expectAnswer(428, ['POST', path, { outcome: 'fail', reason: 'support: never arrived' }]);
    await expectAnswer(200, ['POST', path, { outcome: 'fail', reason: 'support: never arrived' }, seen]);
    const { changes } = await expectAnswer(412, ['POST', path, { outcome: 'paid', reason: 'after all' }, seen]);
    expect(changes).toMatchObject([{ type: 'person', to_status: 'fail' }]);
    const again = await seenBy(host, payout);
    await expectAnswer(409, ['POST', path, { outcome: 'paid', reason: 'after all' }, again]);
  });

  it('of the account at the provider', async () => {
    await expectAnswer(200, ['GET', `balance?account=${RUB}`]);
    await expectAnswer(200, ['GET', `account?account=${RUB}`]);
  });

  it('of a notification, by GET and as a form', async () => {
    await expectAnswer(200, ['GET', `notifications?${signedQuery(host.simulator)}`], { token: '' });
    await expectAnswer(200, ['POST', 'notifications', signedQuery(host.simulator), FORM], { token: '' });
  });

  it('of a notification that is refused', async () => {
    await expectAnswer(400, ['GET', 'notifications?type=payout'], { token: '' });
    await expectAnswer(403, ['GET', `notifications?${forgedQuery(host.simulator)}`], { token: '' });
    await expectAnswer(400, ['POST', 'notifications', 'type=payout', FORM], { token: '' });
    await expectAnswer(403, ['POST', 'notifications', forgedQuery(host.simulator), FORM], { token: '' });
    await expectAnswer(413, ['POST', 'notifications', `type=${'x'.repeat(200_000)}`, FORM], { token: '' });
  });

  it('of wrong input, of an unknown payout, and to who may not ask', async () => {
    const id = randomUUID();
    const [read, write]: Call[][] = [
      [
        ['GET', 'payouts?limit=0'],
        ['GET', `payouts/${id}`],
        ['GET', `payouts/${id}/events`],
        ['GET', 'balance?account=nobody'],
        ['GET', 'account?account=nobody'],
        ['POST', `payouts/${id}/refresh`],
        ['POST', `payouts/${id}/withdraw`],
      ],
      [
        ['POST', 'payouts', {}],
        ['POST', 'payouts/search', {}],
        ['POST', `payouts/${id}/resolve`, {}],
      ],
    ];
    for (const call of [...(read ?? []), ...(write ?? [])]) {
      const [method, path, body] = call;
      const isOfOne = path.includes(id);
      if (isOfOne) {
        const decision = body && { outcome: 'fail', reason: 'r' };
        await expectAnswer(404, [method, path, decision, SEEN]);
      }
      // What is no uuid is written as one here, so that the checker finds the path in the document.
      const { status, body: error } = await host.call(TOKENS.all.text, method, path.replace(id, 'nobody'), body, SEEN);
      expect([status, api.faultsOf(method, `/alikassa/${path}`, 400, error)]).toEqual([400, []]);
      seen.add(`${method.toLowerCase()} /alikassa/${path.replace(id, '{id}').replace(/\?.*/, '')} 400`);
      await expectAnswer(401, [method, path, body, SEEN], { token: '' });
      const scope = /withdraw$|^payouts$/.test(path) && method === 'POST' ? TOKENS.operator : TOKENS.shop;
      await expectAnswer(403, [method, path, body, SEEN], { token: scope.text });
    }
    for (const [method, path] of write ?? []) {
      await expectAnswer(413, [method, path, TOO_LARGE, SEEN]);
      await expectAnswer(415, [method, path, 'reason=r', { ...FORM, ...SEEN }]);
    }
  });

  it('of a provider that does not answer', async () => {
    const id = await unknown();
    const down = { answer: { status: 502 }, times: 1 };
    host.simulator.script({ on: 'balance', ...down });
    await expectAnswer(502, ['GET', `balance?account=${RUB}`]);
    host.simulator.script({ on: 'info', ...down });
    await expectAnswer(502, ['GET', `account?account=${RUB}`]);
    host.simulator.script({ on: 'status', ...down, times: 50 });
    await expectAnswer(502, ['POST', `payouts/${id}/refresh`]);
    const seen = await seenBy(host, `payouts/${id}`);
    const decision = { outcome: 'fail', reason: 'support: never arrived' };
    await expectAnswer(502, ['POST', `payouts/${id}/resolve`, decision, seen]);
  });

  it('of a database that does not answer', async () => {
    const { pool } = quiet.database;
    const client = await pool.connect();
    try {
      await client.query('BEGIN; LOCK TABLE alikassa_payouts IN ACCESS EXCLUSIVE MODE');
      await expectAnswer(503, ['GET', 'payouts'], { on: quiet });
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it('and the document names no status that none of these has', () => {
    const named = Object.entries(api.document.paths).flatMap(([path, operations]) =>
      Object.entries(operations as Record<string, { responses: object }>).flatMap(([method, { responses }]) =>
        Object.keys(responses)
          .filter((status) => !ANYWHERE.has(status))
          .map((status) => `${method} ${path} ${status}`),
      ),
    );
    expect(named.filter((one) => !seen.has(one))).toEqual([]);
  });
});
