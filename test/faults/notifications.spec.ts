import pg from 'pg';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { EUR, prepare, RUB, startApplication, type TestApplication } from '../helpers/application.js';
import { closedGate } from '../helpers/gate.js';
import { startHostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';

const PATH = '/alikassa/notifications';
let host: TestApplication;
beforeAll(async () => {
  // Nothing but notifications settles here: the polling is far away.
  host = await startApplication({ options: { checkSchedule: [3_600_000] } });
});
afterAll(async () => host.stop());

/** A payout that the provider holds in `wait`. */
async function waiting(): Promise<PayoutDto> {
  const response = await host
    .http()
    .post('/alikassa/payouts')
    .send(payload({ amount: '12.04' }));
  return host.until((response.body as PayoutDto).id, 'wait');
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
const deliver = (query: string): Promise<number> =>
  host
    .http()
    .get(`${PATH}?${query}`)
    .then(({ status }) => status);
const stateOf = async (id: string): Promise<[string, string[]]> => {
  const { status, attention } = await host.payouts.find(id);
  return [status, attention];
};
const changesOf = async (id: string): Promise<string[]> =>
  (await host.payouts.events(id))
    .filter(({ type }) => type === 'notification')
    .map(({ fromStatus, toStatus }) => `${fromStatus} -> ${toStatus}`);
async function inbox(orderId: string): Promise<unknown[]> {
  const sql = 'SELECT result, received_count FROM alikassa_notifications WHERE order_id = $1 ORDER BY id';
  return (await host.database.pool.query(sql, [orderId])).rows;
}

it('68: a notification before our own submission has its answer -> settles', async () => {
  let release = (): void => undefined;
  const hold = new Promise<void>((resolve) => (release = resolve));
  host.simulator.script({ on: 'payout', orderId: 'early', notification: 'early', hold });
  const { body } = await host
    .http()
    .post('/alikassa/payouts')
    .send(payload({ order_id: 'early' }));
  const { id } = body as PayoutDto;
  await host.until(id, 'paid');
  release();
  await until(
    async () =>
      (await host.database.pool.query('SELECT 1 FROM alikassa_worker.jobs WHERE locked_at IS NOT NULL')).rowCount === 0,
  );
  expect([await stateOf(id), await changesOf(id)]).toEqual([['paid', []], ['sending -> paid']]);
  expect(host.simulator.accepted('early')).toBe(1);
});

it('69: for an order that we do not have -> acknowledged, kept, counted', async () => {
  const payout = await waiting();
  const query = queryFor(payout, { order_id: 'nobody' });
  expect([await deliver(query), await deliver(query)]).toEqual([200, 200]);
  expect(await inbox('nobody')).toEqual([{ result: 'unmatched', received_count: 2 }]);
  expect(await stateOf(payout.id)).toEqual(['wait', []]);
});

it('70: the same one 100 times at once -> one transition, one event', async () => {
  const payout = await waiting();
  const query = queryFor(payout);
  const answers = await Promise.all(Array.from({ length: 100 }, () => deliver(query)));
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(await changesOf(payout.id)).toEqual(['wait -> paid']);
  expect(await inbox(payout.order_id)).toEqual([{ result: 'settled', received_count: 100 }]);
});

it('71: the same one on two nodes at once -> one transition, one event', async () => {
  const { database, simulator, options } = host;
  const surroundings = { database, simulator, options, port: 0, stop: () => Promise.resolve() };
  const other = await startApplication({ surroundings });
  const payout = await waiting();
  const query = queryFor(payout);
  // Both have read the row before either can write it.
  const blocker = await database.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [payout.id]);
  const answers = Promise.all([
    deliver(query),
    other
      .http()
      .get(`${PATH}?${query}`)
      .then(({ status }) => status),
  ]);
  await until(async () => {
    const sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    return (await database.pool.query(sql)).rowCount === 2;
  });
  await blocker.query('COMMIT');
  blocker.release();
  expect(await answers).toEqual([200, 200]);
  expect(await changesOf(payout.id)).toEqual(['wait -> paid']);
  await other.stop();
});

it('72: out of order -> the final status stays', async () => {
  const payout = await waiting();
  await deliver(queryFor(payout));
  expect(await deliver(queryFor(payout, { payment_status: 'wait', payment_amount: '0.00' }))).toBe(200);
  expect([await stateOf(payout.id), await changesOf(payout.id)]).toEqual([['paid', []], ['wait -> paid']]);
});

it.each([
  ['reordered', { notification: 'reordered' }],
  ['late', { notificationDelayMs: 400 }],
] as const)('%s ones of the provider settle once', async (name, fault) => {
  host.simulator.script({ on: 'payout', orderId: name, ...fault });
  const { body } = await host
    .http()
    .post('/alikassa/payouts')
    .send(payload({ order_id: name }));
  const { id } = await host.until((body as PayoutDto).id, 'paid');
  const expected = name === 'reordered' ? ['paid', 'wait'] : ['paid'];
  const statuses = 'SELECT payment_status FROM alikassa_notifications WHERE order_id = $1 ORDER BY id';
  const received = async () => (await host.database.pool.query<{ payment_status: string }>(statuses, [name])).rows;
  await until(async () => (await received()).length === expected.length);
  expect((await received()).map(({ payment_status }) => payment_status)).toEqual(expected);
  expect([await stateOf(id), await changesOf(id)]).toEqual([['paid', []], ['wait -> paid']]);
});

it('73: an old one replayed -> nothing', async () => {
  const payout = await waiting();
  const query = queryFor(payout);
  await deliver(query);
  const { revision } = await host.payouts.find(payout.id);
  expect(await deliver(query)).toBe(200);
  expect((await host.payouts.find(payout.id)).revision).toBe(revision);
  expect(await inbox(payout.order_id)).toEqual([{ result: 'settled', received_count: 2 }]);
});

it('74: all of them lost -> polling settles', async () => {
  const polling = await startApplication();
  polling.simulator.script({ on: 'payout', notification: 'lost' });
  const { body } = await polling
    .http()
    .post('/alikassa/payouts')
    .send(payload({ order_id: 'lost' }));
  const { id } = await polling.until((body as PayoutDto).id, 'paid');
  expect(polling.simulator.notificationsSent).toBe(0);
  expect((await polling.payouts.events(id)).at(-1)).toMatchObject({
    type: 'check',
    fromStatus: 'wait',
    toStatus: 'paid',
  });
  await polling.stop();
});

it('75: the database is down -> 5xx, so that the provider repeats', async () => {
  const payout = await waiting();
  const query = queryFor(payout);
  const name = new URL(host.database.url).pathname.slice(1);
  const server = new pg.Client({ connectionString: host.database.url.replace(name, 'postgres') });
  await server.connect();
  const terminate = (): Promise<unknown> =>
    server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  host.database.pool.on('error', () => undefined);
  await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await terminate();
  const answer = await host.http().get(`${PATH}?${query}`);
  expect([answer.status, answer.body]).toEqual([503, expect.objectContaining({ code: 'database_unavailable' })]);
  expect(answer.text).not.toContain(payout.order_id);
  await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  await server.end();
  await until(async () => (await deliver(query)) === 200);
  expect(await stateOf(payout.id)).toEqual(['paid', []]);
});

it('the payout cannot be written, though the inbox can -> 5xx too', async () => {
  const payout = await waiting();
  const query = queryFor(payout);
  await host.database.pool.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON alikassa_payouts FOR EACH STATEMENT EXECUTE FUNCTION refuse()`);
  expect(await deliver(query)).toBe(500);
  await host.database.pool.query('DROP TRIGGER refuse ON alikassa_payouts');
  expect([await deliver(query), await stateOf(payout.id)]).toEqual([200, ['paid', []]]);
});

it('76: crash after verify, before commit -> settled by the repeat of the provider', async () => {
  const surroundings = await prepare({
    options: { checkSchedule: [3_600_000] },
    simulator: { notificationRetries: 100, notificationRetryMs: 100 },
  });
  const { database, simulator, options, port } = surroundings;
  const gate = await closedGate(
    database,
    "TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = 'paid')",
  );
  const setup = { databaseUrl: database.url, port, options };
  const first = await startHostProcess(setup);
  await fetch(`${first.url}/alikassa/payouts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload({ order_id: 'crashed' })),
  });
  await gate.reached();
  await first.kill('SIGKILL');
  await gate.terminate();
  await gate.open();
  const status = async (): Promise<unknown> => (await database.pool.query('SELECT status FROM alikassa_payouts')).rows;
  expect(await status()).toEqual([{ status: 'wait' }]);
  const second = await startHostProcess(setup);
  await until(async () => JSON.stringify(await status()) === '[{"status":"paid"}]');
  expect(simulator.accepted('crashed')).toBe(1);
  await second.kill('SIGTERM');
  await surroundings.stop();
});

it('77: HEAD -> nothing', async () => {
  const payout = await waiting();
  expect((await host.http().head(`${PATH}?${queryFor(payout)}`)).status).toBe(405);
  expect([await stateOf(payout.id), await inbox(payout.order_id)]).toEqual([['wait', []], []]);
});

it('78: type=payment, validly signed -> nothing', async () => {
  const payout = await waiting();
  expect(await deliver(queryFor(payout, { type: 'payment' }))).toBe(200);
  expect([await stateOf(payout.id), await inbox(payout.order_id)]).toEqual([
    ['wait', []],
    [{ result: 'ignored', received_count: 1 }],
  ]);
});

it.each([
  ['amount', { amount: '12.05' }],
  ['provider_id', { id: '1' }],
  // One of ours, but not the one that pays.
  ['account', { account: EUR }],
])('validly signed, of another %s -> conflict', async (about, changes) => {
  const payout = await waiting();
  expect(await deliver(queryFor(payout, changes))).toBe(200);
  expect(await stateOf(payout.id)).toEqual(['wait', [`conflict_${about}`]]);
});
