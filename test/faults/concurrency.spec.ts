import { DataSource } from 'typeorm';
import { Payout } from '../../src/payouts/payout.entity.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { CrashedPayout } from '../helpers/crash.js';
import { closedGate } from '../helpers/gate.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';

/** Two applications on one database. */
let surroundings: TestSurroundings;
let nodes: [TestApplication, TestApplication];
beforeEach(async () => {
  surroundings = await prepare();
  nodes = [await startApplication({ surroundings, port: surroundings.port }), await startApplication({ surroundings })];
});
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await surroundings.stop();
});

const createOn = async (node: TestApplication, changes: Record<string, unknown> = {}) =>
  node.http().post('/alikassa/payouts').send(payload(changes));
const query = async (sql: string): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql)).rows;

it('92: 50 creates with one order_id and the same body -> one payout, one answer', async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => createOn(nodes[i % 2]!, { order_id: 'same', amount: '8.04' })),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
  const constant = ({ body }: { body: unknown }): unknown => {
    // What the worker does meanwhile may show.
    const {
      status: _,
      updated_at: __,
      provider_id: ___,
      attempt: ____,
      ...rest
    } = body as PayoutDto & Record<string, unknown>;
    return rest;
  };
  for (const answer of answers) expect(constant(answer)).toEqual(constant(answers[0]!));
  await nodes[0].until((answers[0]!.body as PayoutDto).id, 'wait');
  expect(await query('SELECT order_id FROM alikassa_payouts')).toEqual([{ order_id: 'same' }]);
  expect(surroundings.simulator.accepted('same')).toBe(1);
});

it('93: the same order_id with another body -> 409', async () => {
  const answers = await Promise.all(
    ['1.00', '2.00'].map((amount, i) => createOn(nodes[i]!, { order_id: 'same', amount })),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 409]));
  expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({ code: 'order_conflict' });
  expect(await query('SELECT count(*)::int AS n FROM alikassa_payouts')).toEqual([{ n: 1 }]);
});

it('94: two workers, one row -> one sends', async () => {
  const gate = await closedGate(
    surroundings.database,
    "TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = 'sending')",
  );
  const { body } = await createOn(nodes[0], { order_id: 'raced' });
  const { id } = body as PayoutDto;
  await gate.reached();
  // A second job of the same payout, which the engine gives to any free worker: it has read the row as queued and
  // waits for it behind the first.
  await query(`SELECT alikassa_worker.add_job('alikassa_submit', json_build_object('payoutId', '${id}'))`);
  await until(async () => {
    const sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    return (await query(sql)).length === 2;
  });
  await gate.open();
  await nodes[0].until(id, 'paid');
  expect(surroundings.simulator.accepted('raced')).toBe(1);
  expect(await query("SELECT attempt FROM alikassa_payout_events WHERE type = 'claimed'")).toEqual([{ attempt: 1 }]);
});

describe('a worker that is stopped for twice its lease, then resumed', () => {
  let payout: CrashedPayout;
  beforeEach(async () => (payout = await CrashedPayout.prepare()));
  afterEach(async () => payout.end());

  it('95: stopped with its request under way -> its late write changes nothing, no second submission', async () => {
    let release = (): void => undefined;
    const hold = new Promise<void>((resolve) => (release = resolve));
    const { simulator, database } = payout.surroundings;
    simulator.script({ on: 'payout', hold, notification: 'lost' });
    await payout.start();
    await payout.create();
    await until(() => payout.accepted === 1);
    const stopped = payout.detach();
    await stopped.kill('SIGSTOP');
    // Another process finds out; the one that is stopped has lost its lease meanwhile.
    await payout.start();
    await payout.untilStatus('paid');
    const leases = await database.pool.query(
      "SELECT 1 FROM alikassa_payouts WHERE updated_at > created_at + interval '3 s'",
    );
    expect(leases.rowCount).toBe(1);
    const before = await payout.revision();
    await stopped.kill('SIGCONT');
    release();
    // It is alive again and ends its job, which it still holds.
    await until(
      async () =>
        (await database.pool.query('SELECT 1 FROM alikassa_worker.jobs WHERE locked_at IS NOT NULL')).rowCount === 0,
    );
    expect([await payout.revision(), payout.accepted]).toEqual([before, 1]);
    expect(await payout.history()).toEqual([
      'created: queued',
      'claimed: sending',
      'lease_expired: unknown',
      'check: paid',
    ]);
    await stopped.kill('SIGTERM');
  });

  it('stopped before it sends: it does not send any more', async () => {
    const { simulator, database } = payout.surroundings;
    await payout.start();
    const unlock = await payout.stopBeforeSending();
    const stopped = payout.detach();
    await stopped.kill('SIGSTOP');
    await unlock();
    await payout.start();
    await until(async () => (await payout.row()).attention === 'not_found');
    await stopped.kill('SIGCONT');
    await until(
      async () =>
        (
          await database.pool.query(
            "SELECT 1 FROM alikassa_worker.jobs WHERE locked_at IS NOT NULL AND task_identifier = 'alikassa_submit'",
          )
        ).rowCount === 0,
    );
    expect(simulator.requests.filter(({ endpoint }) => endpoint === 'payout')).toEqual([]);
    expect(stopped.output()).toMatch(/held up past its lease and was not sent/);
    await stopped.kill('SIGTERM');
  });
});

it('96: a withdrawal against the dispatch -> exactly one wins', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const order_id = `race-${i}`;
      const { body } = await createOn(nodes[i % 2]!, { order_id, amount: '3.04' });
      const { id } = body as PayoutDto;
      const { status } = await nodes[(i + 1) % 2]!.http().post(`/alikassa/payouts/${id}/withdraw`);
      if (status !== 200) await nodes[0].until(id, 'wait');
      return { order_id, id, withdrawn: status === 200, status };
    }),
  );
  for (const { id, order_id, withdrawn, status } of outcomes) {
    expect(status).toBe(withdrawn ? 200 : 409);
    expect((await nodes[0].payouts.find(id)).status).toBe(withdrawn ? 'withdrawn' : 'wait');
    expect(surroundings.simulator.accepted(order_id)).toBe(withdrawn ? 0 : 1);
  }
});

it('97: the host writes a stale entity -> the final status stays', async () => {
  const repository = nodes[0].app.get(DataSource).getRepository(Payout);
  const { body } = await createOn(nodes[0], { amount: '4.04', order_id: 'stale' });
  const { id } = await nodes[0].until((body as PayoutDto).id, 'wait');
  const stale = await repository.findOneByOrFail({ id });
  await surroundings.simulator.settle('stale', 'paid');
  await nodes[0].until(id, 'paid');
  stale.attention = 'looked at by the host';
  await repository.save(stale);
  await repository.save({ id, status: 'queued', attempt: 0 });
  expect(await nodes[0].payouts.find(id)).toMatchObject({ status: 'paid', attention: null, attempt: 1 });
});
