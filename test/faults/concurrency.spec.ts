import { DataSource } from 'typeorm';
import { Payout } from '../../src/payouts/payout.entity.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { CrashedPayout } from '../helpers/crash.js';
import { blocked, meanwhile } from '../helpers/database.locks.js';
import { closedGate } from '../helpers/gate.js';
import { payload } from '../helpers/payload.js';
import { create, latch } from '../helpers/payout.checks.js';
import { withdrawNow } from '../helpers/people.js';
import { submissionsOf } from '../helpers/submissions.js';
import { startTwoHosts, type TwoHosts } from '../helpers/two.hosts.js';
import { until } from '../helpers/until.js';

const UPDATE = 'UPDATE "alikassa_payouts"';

describe('two processes', () => {
  let two: TwoHosts;
  beforeAll(async () => {
    // One job at a time each: two at once are in two processes.
    two = await startTwoHosts({ options: { worker: { concurrency: 1, sweepIntervalMs: 500 } } });
  }, 60_000);
  afterAll(async () => two.stop());

  const query = async (sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> =>
    (await two.database.pool.query<Record<string, unknown>>(sql, values)).rows;
  /** 50 creates at both, all of them posted before the first one is written. */
  async function createAtOnce(bodyOf: (index: number) => Record<string, unknown>) {
    const lock = 'LOCK TABLE alikassa_payouts IN SHARE MODE';
    const answers = await meanwhile(two.database.pool, [lock], async () => {
      const posted = Promise.all(
        Array.from({ length: 50 }, (_, i) => two.hosts[i % 2]!.http().post('/alikassa/payouts').send(bodyOf(i))),
      );
      // They wait, and neither process has anything left to read.
      await until(async () => {
        const sql = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
          AND query ~ 'INSERT INTO "alikassa_payouts"'`;
        return (await query(sql)).length >= 2;
      });
      await Promise.all(two.hosts.map((host) => host.http().get('/')));
      return { posted };
    });
    return answers.posted;
  }
  const having = <T extends { status: number }>(answers: T[], status: number): T[] =>
    answers.filter((answer) => answer.status === status);

  it('92: 50 creates with one order_id and the same body -> one payout, one answer', async () => {
    const answers = await createAtOnce(() => payload({ order_id: 'same', amount: '8.04' }));
    expect([having(answers, 201).length, having(answers, 200).length]).toEqual([1, 49]);
    const constant = ({ body }: { body: unknown }): unknown => {
      // What the worker does meanwhile may show.
      const { status: _, updated_at: __, provider_id: ___, ...rest } = body as PayoutDto;
      return rest;
    };
    for (const answer of answers) expect(constant(answer)).toEqual(constant(answers[0]!));
    const { id } = answers[0]!.body as PayoutDto;
    await until(async () => (await query("SELECT FROM alikassa_payouts WHERE status = 'wait'")).length === 1);
    expect(await query('SELECT id, order_id FROM alikassa_payouts')).toEqual([{ id, order_id: 'same' }]);
    expect(submissionsOf(two.simulator, 'same')).toBe(1);
  });

  it('93: 50 with one order_id and 50 bodies -> one payout, and 409 to all others', async () => {
    const answers = await createAtOnce((i) => payload({ order_id: 'differing', amount: `${i + 1}.04` }));
    const [winner] = having(answers, 201);
    const refused = having(answers, 409);
    expect(refused).toHaveLength(49);
    for (const { body } of refused) expect(body).toMatchObject({ code: 'order_conflict' });
    const { id, amount } = winner!.body as PayoutDto;
    await until(async () => submissionsOf(two.simulator, 'differing') > 0);
    expect(await query("SELECT id, amount FROM alikassa_payouts WHERE order_id = 'differing'")).toEqual([
      { id, amount },
    ]);
    expect(two.simulator.payouts.get('differing')?.amount).toBe(amount);
  });

  it('94: two workers, one row -> one sends', async () => {
    const gate = await closedGate(
      two.database,
      "TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = 'sending')",
    );
    const { id } = await create(two.hosts[0], payload({ order_id: 'raced' }));
    await gate.reached();
    // A second job of the same payout goes to the other process: it has read the row as queued, and waits behind the first.
    await query(`SELECT alikassa_worker.add_job('alikassa_submit', json_build_object('payoutId', $1::uuid))`, id);
    await blocked(two.database.pool, UPDATE);
    const workers = `SELECT DISTINCT locked_by FROM alikassa_worker.jobs WHERE task_identifier = 'alikassa_submit'`;
    await until(async () => (await query(workers)).length === 2);
    await gate.open();
    expect(await two.paid([{ id, orderId: 'raced' }])).toEqual([1]);
    await until(async () => (await query(workers)).length === 0);
    expect(submissionsOf(two.simulator, 'raced')).toBe(1);
    const claims = "SELECT attempt FROM alikassa_payout_events WHERE type = 'claimed' AND payout_id = $1";
    expect(await query(claims, id)).toEqual([{ attempt: 1 }]);
  });
});

describe('a worker that is stopped for twice its lease, then resumed', () => {
  let payout: CrashedPayout;
  beforeEach(async () => (payout = await CrashedPayout.prepare()));
  afterEach(async () => payout.end());
  const submissions = (): number => submissionsOf(payout.surroundings.simulator, 'crash');

  it('95: stopped with its request under way -> its late write changes nothing, no second submission', async () => {
    const { held, letGo } = latch();
    payout.surroundings.simulator.script({ on: 'payout', hold: held, notification: 'lost' });
    await payout.start();
    await payout.create();
    await until(() => payout.accepted === 1);
    const stopped = payout.detach();
    await stopped.kill('SIGSTOP');
    // Another process finds out; the one that is stopped has lost its lease meanwhile.
    await payout.start();
    await payout.untilStatus('paid');
    await payout.untilTwiceTheLease();
    const before = await payout.revision();
    await stopped.kill('SIGCONT');
    letGo();
    // It drains: when it has ended, it has written what it had to.
    await stopped.kill('SIGTERM');
    expect([await payout.revision(), submissions()]).toEqual([before, 1]);
    expect(await payout.history()).toEqual([
      'created: queued',
      'claimed: sending',
      'lease_expired: unknown',
      'check: paid',
    ]);
    expect(stopped.output()).not.toMatch(/ERROR/);
  });

  it('its late write meets a newer attempt, which a person has asked for: it changes nothing', async () => {
    const { simulator } = payout.surroundings;
    simulator.script({ on: 'payout', accept: false, stall: true });
    await payout.start();
    await payout.create();
    await until(() => submissions() === 1);
    const stopped = payout.detach();
    await stopped.kill('SIGSTOP');
    const { held, letGo } = latch();
    simulator.script({ on: 'payout', hold: held, notification: 'lost' });
    await payout.start({ timeoutMs: 60_000, leaseMs: 90_000 });
    await until(async () => (await payout.row()).attention.includes('not_found'));
    await payout.untilTwiceTheLease();
    await payout.resubmit();
    await until(() => payout.accepted === 1);
    const before = await payout.revision();
    await stopped.kill('SIGCONT');
    await stopped.kill('SIGTERM');
    expect([await payout.revision(), (await payout.row()).status]).toEqual([before, 'sending']);
    letGo();
    await payout.untilStatus('paid');
    expect((await payout.history()).slice(2)).toEqual([
      'lease_expired: unknown',
      'person: queued',
      'claimed: sending',
      'submission: wait',
      'check: paid',
    ]);
    expect(submissions()).toBe(2);
  });

  it('stopped before it sends: it does not send any more', async () => {
    await payout.start();
    const goOn = await payout.stopBeforeSending();
    const stopped = payout.detach();
    await stopped.kill('SIGSTOP');
    goOn();
    await payout.start();
    await until(async () => (await payout.row()).attention.includes('not_found'));
    await stopped.kill('SIGCONT');
    await stopped.kill('SIGTERM');
    expect(submissions()).toBe(0);
    expect(stopped.output()).toMatch(/held up past its lease and was not sent/);
  });
});

describe('one payout, and a host that changes its mind', () => {
  let surroundings: TestSurroundings;
  /** Sends nothing. */
  let taker: TestApplication;
  let sender: TestApplication | undefined;
  beforeEach(async () => {
    surroundings = await prepare();
    taker = await startApplication({ surroundings, options: { worker: { enabled: false } } });
  });
  afterEach(async () => {
    await Promise.all([taker.stop(), sender?.stop()]);
    sender = undefined;
    await surroundings.stop();
  });
  const startSender = async (): Promise<TestApplication> =>
    (sender = await startApplication({ surroundings, port: surroundings.port }));

  it.each(['withdrawn', 'sending'] as const)(
    '96: a withdrawal against the dispatch -> exactly one wins (%s)',
    async (winner) => {
      const { pool } = surroundings.database;
      // Whoever comes first waits with the row in its hands, until the other has decided too and waits for the row.
      const gate = await closedGate(
        surroundings.database,
        `TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = '${winner}')`,
      );
      const { id } = await create(taker, payload({ order_id: 'wanted' }));
      const withdraw = () => withdrawNow(taker.payouts, id).catch((error: Error) => error);
      let withdrawal: ReturnType<typeof withdraw>;
      if (winner === 'withdrawn') {
        withdrawal = withdraw();
        await gate.reached();
        await startSender();
      } else {
        await startSender();
        await gate.reached();
        withdrawal = withdraw();
      }
      await blocked(pool, UPDATE);
      await gate.open();
      await until(
        async () => (await pool.query("SELECT FROM alikassa_worker.jobs WHERE key ~ 'submit'")).rowCount === 0,
      );
      const isWithdrawn = winner === 'withdrawn';
      expect(await withdrawal).toMatchObject(isWithdrawn ? { status: 'withdrawn' } : { name: 'StateConflictError' });
      await taker.until(id, isWithdrawn ? 'withdrawn' : 'paid');
      const [, second] = await taker.payouts.events(id);
      expect([second?.type, submissionsOf(surroundings.simulator, 'wanted')]).toEqual(
        isWithdrawn ? ['withdrawal', 0] : ['claimed', 1],
      );
    },
  );

  it('97: the host writes a stale entity -> the final status stays', async () => {
    await startSender();
    const repository = taker.app.get(DataSource).getRepository(Payout);
    const { id } = await create(taker, payload({ amount: '4.04', order_id: 'stale' }));
    await taker.until(id, 'wait');
    const stale = await repository.findOneByOrFail({ id });
    await surroundings.simulator.settle('stale', 'paid');
    await taker.until(id, 'paid');
    const before = await surroundings.database.pool.query('SELECT * FROM alikassa_payouts');
    stale.attention = ['overdue'];
    await repository.save(stale);
    await repository.save({ id, status: 'queued', attempt: 0 });
    const after = await surroundings.database.pool.query('SELECT * FROM alikassa_payouts');
    expect(after.rows).toEqual(before.rows);
  });
});
