import { CrashedPayout } from '../helpers/crash.js';
import { cuttingProxy } from '../helpers/cutting.proxy.js';
import { closedGate } from '../helpers/gate.js';
import { until } from '../helpers/until.js';
import type { TestDatabase } from '../helpers/database.js';

let payout: CrashedPayout;
beforeEach(async () => (payout = await CrashedPayout.prepare()));
afterEach(async () => payout.end());

it('6: killed in the middle of the body -> unknown, then the true state', async () => {
  // The provider gets the head and half of the body.
  const proxy = await cuttingProxy(payout.surroundings.simulator.url, { halfBody: true });
  await payout.start({ baseUrl: proxy.url });
  await payout.create();
  await until(() => proxy.isCut());
  await payout.kill();
  await proxy.close();
  await payout.expectHeldForAPerson();
});

it('7: killed when the body was fully sent -> unknown, then the true state', async () => {
  // The provider takes its time: it records the payout long after the process that sent it is dead.
  const { simulator } = payout.surroundings;
  simulator.script({ on: 'payout', delayMs: 6_000 });
  await payout.start();
  await payout.create();
  await until(() => simulator.requests.length > 0);
  expect(payout.accepted).toBe(0);
  await payout.kill();
  await payout.expectPaidOnce();
});

it('8: killed when the provider has recorded it -> unknown, then the true state', async () => {
  const { simulator } = payout.surroundings;
  simulator.script({ on: 'payout', hold: new Promise(() => undefined), notification: 'lost' });
  await payout.start();
  await payout.create();
  await until(() => payout.accepted === 1);
  await payout.kill();
  await payout.expectPaidOnce();
  // Nor does the job of the dead stay locked, though nobody waits for it.
  await until(async () => {
    const locked =
      "SELECT FROM alikassa_worker.jobs WHERE locked_at IS NOT NULL AND task_identifier = 'alikassa_submit'";
    return (await payout.surroundings.database.pool.query(locked)).rowCount === 0;
  });
});

it('9: killed while the answer is held back -> unknown, then the true state', async () => {
  const { simulator } = payout.surroundings;
  simulator.script({ on: 'payout', notification: 'lost' });
  const proxy = await cuttingProxy(simulator.url, { answerBytes: 40 });
  await payout.start({ baseUrl: proxy.url });
  await payout.create();
  await until(() => proxy.isCut());
  await payout.kill();
  await proxy.close();
  await payout.expectPaidOnce();
});

/** A deferred constraint is checked by COMMIT itself. */
const gateInCommit = (database: TestDatabase) =>
  closedGate(
    database,
    `CONSTRAINT TRIGGER wait_here AFTER UPDATE ON alikassa_payouts DEFERRABLE INITIALLY DEFERRED
     FOR EACH ROW WHEN (OLD.status = 'sending' AND NEW.status = 'wait')`,
  );

it('10: killed during the COMMIT of the result -> unknown, then the true state', async () => {
  const { database, simulator } = payout.surroundings;
  simulator.script({ on: 'payout', notification: 'lost' });
  const gate = await gateInCommit(database);
  await payout.start();
  await payout.create();
  await gate.reached();
  await payout.kill();
  await gate.terminate();
  expect((await payout.row()).status).toBe('sending');
  await gate.open();
  await payout.expectPaidOnce();
});

it('a COMMIT that is carried out after the death of its process is taken up where it ended', async () => {
  const { database, simulator } = payout.surroundings;
  simulator.script({ on: 'payout', notification: 'lost' });
  const gate = await gateInCommit(database);
  await payout.start();
  await payout.create();
  await gate.reached();
  await payout.kill();
  await gate.open();
  await payout.untilStatus('wait');
  await payout.start();
  await payout.untilStatus('paid');
  expect(payout.accepted).toBe(1);
});
