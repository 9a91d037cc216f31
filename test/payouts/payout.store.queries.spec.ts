import { setTimeout as sleep } from 'node:timers/promises';
import { PayoutNotFoundError } from '../../src/alikassa.errors.js';
import { Payout } from '../../src/payouts/payout.entity.js';
import { RUB } from '../helpers/application.js';
import { newPayout, NONE, startStore, TOKEN, type TestStore, withdrawal } from '../helpers/store.js';

describe('what PayoutStore reads', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await startStore();
  });
  afterAll(async () => test.stop());
  beforeEach(async () => test.clear());

  describe('reading', () => {
    it('gives the database’s clock beside the payout, and it goes on', async () => {
      const id = await test.add();
      const snapshot = await test.store.read(id);
      const { payout, now } = snapshot;
      const { rows } = await test.database.pool.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      expect(payout.id).toBe(id);
      expect(Math.abs(Number(rows[0]?.now) - Number(now))).toBeLessThan(30_000);
      await sleep(50);
      expect(Number(snapshot.now) - Number(now)).toBeGreaterThanOrEqual(49);
      await expect(test.store.read(NONE)).rejects.toThrow(PayoutNotFoundError);
    });

    it('knows a payout by its id in capitals, too', async () => {
      const id = await test.add();
      expect((await test.store.read(id.toUpperCase())).payout.id).toBe(id);
      expect((await test.store.settle(id.toUpperCase(), withdrawal)).payout).toMatchObject({ id, status: 'withdrawn' });
    });

    it('finds an order, without its encrypted columns', async () => {
      const id = await test.add({ orderId: 'find-me' });
      const digest = Buffer.alloc(32, 1);
      const { known, inboxResult } = await test.store.findForNotification('find-me', digest);
      const found = known?.payout;
      expect(inboxResult).toBeNull();
      expect(found).toMatchObject({ id, orderId: 'find-me' });
      for (const column of ['keyId', 'recipientCiphertext', 'numberFingerprint', 'contentFingerprint']) {
        expect(found).toHaveProperty(column, undefined);
      }
      expect(await test.store.findForNotification('nobody', digest)).toEqual({ known: null, inboxResult: null });
    });

    it('gives the encrypted columns where they are asked for, by id and by order', async () => {
      const row = newPayout({ orderId: 'sealed' });
      await test.intake.insert(row, undefined, test.dataSource.manager);
      const { keyId, recipientCiphertext, numberFingerprint, contentFingerprint } = row;
      const sealed = { id: row.id, keyId, recipientCiphertext, numberFingerprint, contentFingerprint };
      expect(await test.store.readToSend(row.id)).toMatchObject({ known: { payout: sealed }, pause: null });
      expect(await test.store.readToSend(NONE)).toBeNull();
      expect(await test.store.findSealed('sealed', test.dataSource.manager)).toMatchObject(sealed);
      expect(await test.store.findSealed('nobody', test.dataSource.manager)).toBeNull();
    });

    it('gives the pause of the account beside what is to be sent', async () => {
      const id = await test.add();
      await test.database.pool.query(
        `INSERT INTO alikassa_account_pauses (account, reason, since, paused_until)
         VALUES ($1, 'rate_limited', now(), now() + interval '1 minute')`,
        [RUB],
      );
      const { pause } = (await test.store.readToSend(id))!;
      expect(pause?.reason).toBe('rate_limited');
      expect(pause?.remainingMs).toBeGreaterThan(30_000);
      expect(pause?.remainingMs).toBeLessThanOrEqual(60_000);
    });

    it('reads every column as TypeORM does', async () => {
      const id = await test.add();
      await test.store.settle(id, await test.paid(id, { paymentAmount: '499.5', isPartialPayment: false }));
      const expected = await test.dataSource.getRepository(Payout).findOneByOrFail({ id });
      expect((await test.store.read(id)).payout).toEqual(expected);
    });

    it('sees what the given transaction has written', async () => {
      await test.dataSource.transaction(async (manager) => {
        const row = newPayout();
        await test.intake.insert(row, undefined, manager);
        expect(await test.store.findSealed(row.orderId, manager)).toMatchObject({ id: row.id });
        expect(await test.store.findSealed(row.orderId, test.dataSource.manager)).toBeNull();
      });
    });
  });

  describe('expired leases', () => {
    it('are those of sending payouts whose time is over by the database’s clock, oldest first, so many at most', async () => {
      const [late, later, running] = [await test.add(), await test.add(), await test.add()];
      for (const id of [late, later, running]) await test.store.claim(id, TOKEN);
      await test.change(late, `lease_until = now() - interval '2 s', due_at = now() - interval '2 s'`);
      await test.change(later, `lease_until = now() - interval '1 s', due_at = now() - interval '1 s'`);
      expect(await test.store.expiredLeases(10)).toEqual([late, later]);
      expect(await test.store.expiredLeases(1)).toEqual([late]);
      for (const id of [late, later, running])
        await test.change(id, `status = 'unknown', lease_until = null, due_at = null`);
    });
  });

  describe('overdue payouts', () => {
    const OVERDUE = { overdueMs: 1_000, limit: 10, runMs: 10_000 };
    const jobless = async (status: string, overdueBy = '2 s'): Promise<string> => {
      const id = await test.add();
      await test.change(id, `status = '${status}', due_at = now() - interval '${overdueBy}'`);
      await test.clear();
      return id;
    };
    const forget = async (): Promise<void> =>
      void (await test.database.pool.query(`UPDATE alikassa_payouts SET due_at = null`));
    const changeJob = async (id: string, assignments: string): Promise<void> =>
      void (await test.database.pool.query(
        `UPDATE alikassa_worker._private_jobs SET ${assignments} WHERE key LIKE '%' || $1`,
        [id],
      ));
    beforeEach(forget);

    it.each([
      ['queued', 'submit'],
      ['wait', 'check'],
      ['unknown', 'check'],
    ])('that are %s and have no job get one that runs at once', async (status, task) => {
      const id = await jobless(status);
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(1);
      const [job] = await test.jobs();
      expect(job).toMatchObject({ key: `alikassa_${task}:${id}`, payload: { payoutId: id } });
      expect(Number(job?.run_at)).toBeLessThan(Date.now() + 30_000);
    });

    it('that are final and are asked about yet get their check, and no others that are final', async () => {
      const [followed, other] = [await test.add(), await test.add()];
      await test.change(followed, `status = 'fail', settled_at = now(), due_at = now() - interval '2 s'`);
      await test.change(other, `status = 'fail', settled_at = now(), due_at = NULL`);
      await test.clear();
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(1);
      expect(await test.jobKeys()).toEqual([`alikassa_check:${followed}`]);
      await test.clear();
      expect(await test.store.scheduleChecks(1, 10)).toBe(1);
      expect(await test.jobKeys()).toEqual([`alikassa_check:${followed}`]);
    });

    it('are left alone while they are not so late, and when they wait their turn', async () => {
      const id = await jobless('queued', '0.5 s');
      expect(await test.store.requeueOverdue({ ...OVERDUE, overdueMs: 100_000 })).toBe(0);
      await test.change(id, `due_at = now() - interval '1 hour'`);
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(1);
      const [job] = await test.jobs();
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(0);
      expect(await test.jobs()).toEqual([job]);
    });

    it('are left alone where their lease is what they wait for, or where they are final', async () => {
      const id = await test.add();
      await test.store.claim(id, TOKEN);
      await test.change(id, `due_at = now() - interval '1 hour'`);
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(0);
    });

    it('get another job where theirs is used up, or runs far too late', async () => {
      const id = await jobless('wait');
      await test.store.requeueOverdue(OVERDUE);
      await changeJob(id, 'attempts = max_attempts');
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(1);
      await changeJob(id, `run_at = now() + interval '1 hour'`);
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(1);
    });

    it('get another job where theirs is locked for longer than a task takes, not before', async () => {
      const id = await jobless('wait');
      await test.store.requeueOverdue(OVERDUE);
      await changeJob(id, `locked_by = 'dead', locked_at = now() - interval '5 s'`);
      expect(await test.store.requeueOverdue(OVERDUE)).toBe(0);
      expect(await test.store.requeueOverdue({ ...OVERDUE, runMs: 1_000 })).toBe(1);
    });

    it('are taken oldest first, so many at most', async () => {
      const [old, older] = [await test.add(), await test.add()];
      await test.clear();
      await test.change(old, `due_at = now() - interval '2 s'`);
      await test.change(older, `due_at = now() - interval '3 s'`);
      expect(await test.store.requeueOverdue({ ...OVERDUE, limit: 1 })).toBe(1);
      expect(await test.jobKeys()).toEqual([`alikassa_submit:${older}`]);
    });
  });
});
