import { randomUUID } from 'node:crypto';
import { resolveOptions, type ResolvedOptions } from '../../src/alikassa.options.js';
import { PayoutNotFoundError } from '../../src/alikassa.errors.js';
import { NotificationInbox } from '../../src/notifications/notification.inbox.js';
import { DeliveryStore } from '../../src/payouts/delivery.store.js';
import { HandlerRegistry } from '../../src/payouts/handler.registry.js';
import { JobStore } from '../../src/payouts/job.store.js';
import { OpenOrders } from '../../src/payouts/open.orders.js';
import { PayoutIntake } from '../../src/payouts/payout.intake.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { addSweepJobSql, jobQueueOf } from '../../src/payouts/payout.queue.js';
import { PayoutStore } from '../../src/payouts/payout.store.js';
import { RecipientCipher } from '../../src/payouts/recipient.cipher.js';
import { RecipientRetention } from '../../src/payouts/recipient.retention.js';
import { RecipientRotation } from '../../src/payouts/recipient.rotation.js';
import type { NotificationFields } from '../../src/provider/provider.types.js';
import { RUB } from '../helpers/application.js';
import { SECOND_ACCOUNT } from '../helpers/instances.js';
import { newPayout, startStore, type TestStore, withdrawal } from '../helpers/store.js';

const OVERDUE = { overdueMs: 1_000, limit: 10, runMs: 10_000 };
const KEY = { id: 'k', key: Buffer.alloc(32, 1) };

/** The stores of one instance, on the tables that both share. */
interface Instance {
  options: ResolvedOptions;
  handlers: HandlerRegistry;
  intake: PayoutIntake;
  store: PayoutStore;
  deliveries: DeliveryStore;
  /** Inserts a payout. @returns its id. */
  add(changes?: object): Promise<string>;
}

let test: TestStore;
let first: Instance;
let second: Instance;
beforeAll(async () => {
  test = await startStore();
  first = instance('default', RUB);
  second = instance('second', SECOND_ACCOUNT);
});
afterAll(() => test.stop());
beforeEach(async () => {
  await test.clear();
  await query('ALTER TABLE alikassa_payouts DISABLE TRIGGER USER');
  await query('ALTER TABLE alikassa_payout_events DISABLE TRIGGER USER');
  await query('TRUNCATE alikassa_payouts, alikassa_payout_events, alikassa_deliveries');
  await query('ALTER TABLE alikassa_payout_events ENABLE TRIGGER USER');
  await query('ALTER TABLE alikassa_payouts ENABLE TRIGGER USER');
});

const query = async (sql: string, params: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await test.database.pool.query<Record<string, unknown>>(sql, params)).rows;

function instance(name: string, account: string): Instance {
  const options = resolveOptions(
    {
      accounts: [{ uuid: account, currency: 'RUB' }],
      encryptionKeys: [KEY],
      privateKey: 'unused',
      notificationPublicKey: 'unused',
      recipientRetentionDays: 1,
    },
    name,
  );
  const handlers = new HandlerRegistry();
  handlers.add('Ledger.onWithdrawn', ['withdrawn'], () => undefined);
  const intake = new PayoutIntake(test.dataSource, options, handlers);
  const store = new PayoutStore(test.dataSource, options, handlers, new OpenOrders());
  return {
    options,
    handlers,
    intake,
    store,
    deliveries: new DeliveryStore(test.dataSource, options),
    add: async (changes) => {
      const row = newPayout({ account, ...changes });
      await intake.insert(row, undefined, test.dataSource.manager);
      return row.id;
    },
  };
}

/** Of no notification. */
const DIGEST = Buffer.alloc(32);

/** One payout of each, changed alike. */
async function both(assignments?: string): Promise<[string, string]> {
  const ids: [string, string] = [await first.add(), await second.add()];
  if (assignments) for (const id of ids) await test.change(id, assignments);
  return ids;
}

describe('an instance, on tables that it shares with another', () => {
  it('has order_ids of its own', async () => {
    const orderId = randomUUID();
    const [a, b] = [await first.add({ orderId }), await second.add({ orderId })];
    const { manager } = test.dataSource;
    for (const [{ intake, store }, id] of [
      [first, a],
      [second, b],
    ] as const) {
      expect((await store.findForNotification(orderId, DIGEST)).known?.payout.id).toBe(id);
      expect((await store.findSealed(orderId, manager))?.id).toBe(id);
      expect(await intake.insert(newPayout({ orderId }), undefined, manager)).toBeNull();
    }
  });

  it('neither reads nor settles a payout of the other', async () => {
    const [a, b] = await both();
    for (const [one, foreign] of [
      [first, b],
      [second, a],
    ] as const) {
      await expect(one.store.read(foreign)).rejects.toThrow(PayoutNotFoundError);
      await expect(one.store.settle(foreign, withdrawal)).rejects.toThrow(PayoutNotFoundError);
      expect(await one.store.readToSend(foreign)).toBeNull();
    }
    expect(await query('SELECT DISTINCT status FROM alikassa_payouts')).toEqual([{ status: 'queued' }]);
  });

  it('adds jobs that only its own engine takes', async () => {
    const [a, b] = await both();
    expect(await test.jobKeys()).toEqual([`alikassa_submit:${a}`, `alikassa_submit_second:${b}`]);
    expect(await query('SELECT task_identifier AS task FROM alikassa_worker.jobs ORDER BY 1')).toEqual([
      { task: 'alikassa_submit' },
      { task: 'alikassa_submit_second' },
    ]);
    await test.clear();
    for (const { options } of [first, second, second]) await query(addSweepJobSql(jobQueueOf(options)));
    expect(await test.jobKeys()).toEqual(['alikassa_sweep', 'alikassa_sweep_second']);
  });

  it('schedules its own checks', async () => {
    const [a, b] = await both(`status = 'wait', due_at = now() + interval '1 s'`);
    await test.clear();
    expect([await second.store.scheduleChecks(5_000, 10), await test.jobKeys()]).toEqual([
      1,
      [`alikassa_check_second:${b}`],
    ]);
    expect(await first.store.scheduleChecks(5_000, 10)).toBe(1);
    expect(await test.jobKeys()).toContain(`alikassa_check:${a}`);
  });

  it('sweeps its own expired leases and lost jobs', async () => {
    const [a, b] = await both(`status = 'sending', lease_until = now() - interval '1 s'`);
    expect(await first.store.expiredLeases(10)).toEqual([a]);
    expect(await second.store.expiredLeases(10)).toEqual([b]);
    for (const id of [a, b]) await test.change(id, `status = 'wait', due_at = now() - interval '1 h'`);
    await test.clear();
    expect([await second.store.requeueOverdue(OVERDUE), await test.jobKeys()]).toEqual([
      1,
      [`alikassa_check_second:${b}`],
    ]);
    expect(await second.store.requeueOverdue(OVERDUE)).toBe(0);
    await test.change(b, `status = 'queued'`);
    expect([await second.store.requeueOverdue(OVERDUE), await first.store.requeueOverdue(OVERDUE)]).toEqual([1, 1]);
    expect(await test.jobKeys()).toEqual([
      `alikassa_check:${a}`,
      `alikassa_check_second:${b}`,
      `alikassa_submit_second:${b}`,
    ]);
  });

  it('owes its own calls of handlers, and sweeps those', async () => {
    const [a, b] = await both();
    for (const [one, id] of [
      [first, a],
      [second, b],
    ] as const) {
      await one.store.settle(id, withdrawal);
    }
    const owed = await query('SELECT instance, event_id AS "eventId", handler FROM alikassa_deliveries ORDER BY 1');
    expect(owed.map((one) => one['instance'])).toEqual(['default', 'second']);
    await query(`UPDATE alikassa_deliveries SET due_at = now() - interval '1 h'`);
    const [ofFirst, ofSecond] = owed as unknown as { eventId: string; handler: string }[];
    if (!ofFirst || !ofSecond) throw new Error('nothing is owed');
    expect([await first.deliveries.take(ofSecond, 1_000), await second.deliveries.take(ofFirst, 1_000)]).toEqual([
      null,
      null,
    ]);
    await test.database.pool.query('TRUNCATE alikassa_worker._private_jobs');
    expect([await second.deliveries.requeueOverdue(OVERDUE), await test.jobKeys()]).toEqual([
      1,
      [`alikassa_deliver_second:${ofSecond.eventId}:Ledger.onWithdrawn`],
    ]);
    const taken = await second.deliveries.take(ofSecond, 0);
    await second.deliveries.postpone(ofSecond, Number(taken?.attempt), 0);
    expect(await test.jobKeys()).toEqual([`alikassa_deliver_second:${ofSecond.eventId}:Ledger.onWithdrawn`]);
  });

  it('frees the jobs of its own engines only', async () => {
    await both();
    await query(
      `UPDATE alikassa_worker._private_jobs SET locked_at = now() - interval '1 h', locked_by = 'worker-' || key`,
    );
    await new JobStore(test.dataSource, jobQueueOf(second.options)).unlockHeldFor(1_000);
    expect(await query('SELECT task_identifier AS task FROM alikassa_worker.jobs WHERE locked_by IS NOT NULL')).toEqual(
      [{ task: 'alikassa_submit' }],
    );
  });

  it('tells how its own payouts stand', async () => {
    const [a] = await both(`status = 'unknown', attention = 'not_found', due_at = now() - interval '1 h'`);
    await test.change(a, `due_at = NULL, attention = NULL, status = 'wait'`);
    await query(`UPDATE alikassa_payouts SET due_at = NULL WHERE instance = 'default'`);
    await query(
      `INSERT INTO alikassa_deliveries (event_id, handler, due_at, instance)
       SELECT id, 'h', now() - interval '1 h', 'second' FROM alikassa_payout_events LIMIT 1`,
    );
    const [one, two] = await Promise.all(
      [first, second].map(({ options }) => new PayoutOverview(test.dataSource, options).read()),
    );
    expect(new Set(one?.open.map(({ account }) => account))).toEqual(new Set([RUB]));
    expect(new Set(two?.open.map(({ account }) => account))).toEqual(new Set([SECOND_ACCOUNT]));
    expect([one?.attention, two?.attention]).toEqual([
      [],
      [{ account: SECOND_ACCOUNT, reason: 'not_found', count: 1 }],
    ]);
    expect([one?.lagSeconds, one?.oldestUnknownSeconds]).toEqual([{ payouts: 0, handlers: 0 }, 0]);
    expect(Math.min(two?.lagSeconds.payouts ?? 0, two?.lagSeconds.handlers ?? 0)).toBeGreaterThan(3_000);
    expect(two?.oldestUnknownSeconds).toBeGreaterThan(0);
  });

  it('erases its own recipients', async () => {
    const [a, b] = await both(`status = 'paid', settled_at = now() - interval '2 days'`);
    expect(await new RecipientRetention(test.dataSource, second.options).erase()).toBe(1);
    const readable = await query('SELECT id FROM alikassa_payouts WHERE recipient_ciphertext IS NOT NULL');
    expect([readable, b]).toEqual([[{ id: a }], b]);
  });

  it('re-encrypts its own recipients, and counts no others', async () => {
    const [a, b] = await both();
    const cipher = new RecipientCipher([KEY]);
    const rotation = new RecipientRotation(test.dataSource, second.store, cipher, second.options);
    const unreadable: string[] = [];
    // Both are under a key that nobody has, which a rotation tells of every row that it reads.
    const report = await rotation.run({ onUnreadable: ({ message }) => unreadable.push(message) });
    expect([report.total, report.unreadable, report.left]).toEqual([1, 1, [{ keyId: 'test', sealed: 1, erased: 0 }]]);
    expect(unreadable.join()).toContain(b);
    expect(await query('SELECT attention FROM alikassa_payouts WHERE id = $1', [a])).toEqual([{ attention: null }]);
  });

  it('has an inbox of its own for notifications of the same content', async () => {
    const fields: NotificationFields = {
      type: 'payout',
      id: '7',
      order_id: 'A',
      payment_status: 'paid',
      amount: '1.00',
      payment_amount: null,
      commission_amount: null,
      is_partial_payment: null,
      account: RUB,
      service: 's',
      desc: null,
    };
    const [one, two] = [first, second].map(({ options }) => new NotificationInbox(test.dataSource, options));
    await one?.record(fields, 'hinted');
    await two?.record(fields, 'unmatched');
    expect(await query('SELECT instance, result FROM alikassa_notifications ORDER BY instance')).toEqual([
      { instance: 'default', result: 'hinted' },
      { instance: 'second', result: 'unmatched' },
    ]);
    const [a] = await both();
    const { order_id: orderId } = await test.row(a);
    const digest = one!.digestOf(fields);
    expect((await first.store.findForNotification(String(orderId), digest)).inboxResult).toBe('hinted');
    expect((await first.store.findForNotification(String(orderId), DIGEST)).inboxResult).toBeNull();
  });
});
