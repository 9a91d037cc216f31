import { startApplication, type TestApplication } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { DatabaseProxy } from '../helpers/database.proxy.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, expectNoRecipient, expectUnavailable, historyOf } from '../helpers/payout.checks.js';

const CREATE = /INSERT INTO "alikassa_payouts"/;
const CLAIM = /UPDATE "alikassa_payouts"[^]*claimed/;
const RESULT = /UPDATE "alikassa_payouts"[^]*submission/;
/** Stays `wait` until the test settles it, so that nothing but the submission's own result can move it on. */
const OPEN = { amount: '12.04' };
const SENT_ONCE = ['created:->queued', 'claimed:queued->sending', 'submission:sending->wait'];
const logger = new LogLines();
let database: TestDatabase;
let proxy: DatabaseProxy;
let host: TestApplication;

const rowsOf = async (orderId: unknown): Promise<number> => {
  const { rowCount } = await database.pool.query('SELECT 1 FROM alikassa_payouts WHERE order_id = $1', [orderId]);
  return rowCount ?? 0;
};
/** One statement to a payout: each commits by itself, so its answer is the COMMIT's. */
const expectPaidOnce = async (id: string, orderId: string): Promise<void> => {
  await host.until(id, 'wait');
  await host.simulator.settle(orderId, 'paid');
  await host.until(id, 'paid');
  expect((await historyOf(host, id)).slice(0, SENT_ONCE.length)).toEqual(SENT_ONCE);
  expect(await rowsOf(orderId)).toBe(1);
  expect(host.simulator.accepted(orderId)).toBe(1);
  expect(host.simulator.requests.filter((seen) => seen.endpoint === 'payout' && seen.orderId === orderId)).toHaveLength(
    1,
  );
};

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await DatabaseProxy.start(database.url);
  host = await startApplication({ database, dataSource: { url: proxy.url }, logger });
});
afterAll(async () => {
  await host.stop();
  await proxy.stop();
  expectNoRecipient(logger);
});

it("79: the COMMIT's answer is lost, row present -> the repeat finds it, the result is read again, sent once", async () => {
  const body = payload(OPEN);
  const created = proxy.cut({ statement: CREATE, lost: 'answer' });
  expectUnavailable(await host.http().post('/alikassa/payouts').send(body), body);
  await created;
  expect(await rowsOf(body['order_id'])).toBe(1);
  const first = await create(host, body, 200);
  await expectPaidOnce(first.id, first.orderId);

  const settled = proxy.cut({ statement: RESULT, lost: 'answer' });
  const second = await create(host, payload(OPEN));
  await settled;
  await expectPaidOnce(second.id, second.orderId);

  // The claim is found by its token, so the attempt goes on as if the answer had come.
  const claimed = proxy.cut({ statement: CLAIM, lost: 'answer' });
  const third = await create(host, payload(OPEN));
  await claimed;
  await expectPaidOnce(third.id, third.orderId);
});

it("80: the COMMIT's answer is lost, row absent -> the repeat makes it, the result is written again, sent once", async () => {
  const body = payload(OPEN);
  const created = proxy.cut({ statement: CREATE, lost: 'request' });
  expectUnavailable(await host.http().post('/alikassa/payouts').send(body), body);
  await created;
  expect(await rowsOf(body['order_id'])).toBe(0);
  const first = await create(host, body);
  await expectPaidOnce(first.id, first.orderId);

  const settled = proxy.cut({ statement: RESULT, lost: 'request' });
  const second = await create(host, payload(OPEN));
  await settled;
  await expectPaidOnce(second.id, second.orderId);

  const claimed = proxy.cut({ statement: CLAIM, lost: 'request' });
  const third = await create(host, payload(OPEN));
  await claimed;
  await expectPaidOnce(third.id, third.orderId);
});
