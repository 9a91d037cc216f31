import { startApplication, prepare, type TestSurroundings } from '../helpers/application.js';
import { DatabaseProxy } from '../helpers/database.proxy.js';
import { startHostProcess } from '../helpers/host.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, latch } from '../helpers/payout.checks.js';
import { eventually } from '../helpers/until.js';

/** What is promised. */
const NOTICED_MS = 30_000;
/** What Kubernetes gives a process. */
const GRACE_MS = 30_000;

let around: TestSurroundings;
let proxy: DatabaseProxy;
beforeEach(async () => {
  around = await prepare({ options: { timeoutMs: 20_000, leaseMs: 40_000 } });
  proxy = await DatabaseProxy.start(around.database.url);
});
afterEach(async () => {
  await proxy.stop();
  await around.stop();
});

/** Whatever time it takes. */
async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() - began > ms) throw error;
    }
  }
}

it('154: connections to Postgres fall silent without FIN or RST -> noticed within 30 s, payouts go on', async () => {
  const dataSource = { url: proxy.url };
  const host = await startApplication({ surroundings: around, port: around.port, dataSource, logger: new LogLines() });
  try {
    // Every place of the pool has a connection, and one submission waits for its answer.
    await Promise.all(Array.from({ length: 20 }, () => host.http().get('/alikassa/payouts')));
    const body = payload({ amount: '12.04' });
    const { held, letGo } = latch();
    host.simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
    const before = await create(host, body);
    await eventually('the provider has it', () => host.simulator.accepted(before.orderId) === 1);
    proxy.silence();
    letGo();
    const began = performance.now();
    const after = await within(NOTICED_MS, () => create(host, payload()));
    await within(NOTICED_MS, () => host.until(after.id, 'paid'));
    await within(NOTICED_MS, () => host.until(before.id, 'wait'));
    expect(performance.now() - began).toBeLessThan(NOTICED_MS);
    expect([before, after].map(({ orderId }) => host.simulator.accepted(orderId))).toEqual([1, 1]);
  } finally {
    const began = performance.now();
    await host.stop();
    expect(performance.now() - began).toBeLessThan(GRACE_MS);
  }
}, 120_000);

it.each([
  ['the connections that there were', false],
  ['every connection', true],
])(
  'a process ends by SIGTERM within its grace though Postgres is silent: %s',
  async (_, alsoNew) => {
    const { port, options } = around;
    const host = await startHostProcess({ databaseUrl: proxy.url, port, options });
    const headers = { 'content-type': 'application/json' };
    const create = (): Promise<Response> =>
      fetch(`${host.url}/alikassa/payouts`, { method: 'POST', headers, body: JSON.stringify(payload()) });
    expect((await create()).status).toBe(201);
    proxy.silence(alsoNew);
    // In the middle of a statement, too.
    const answer = create().catch(() => undefined);
    const began = performance.now();
    await host.kill('SIGTERM');
    expect(performance.now() - began).toBeLessThan(GRACE_MS);
    expect(await host.ended).toBe('SIGTERM');
    await answer;
  },
  120_000,
);
