import type { ProviderFacts } from '../../src/payouts/payout.evidence.js';
import { RUB } from '../helpers/application.js';
import { accepted, startStore, TOKEN, type TestStore, unauthorized, unclear, unsent } from '../helpers/store.js';

describe('what a change brings with it', () => {
  let test: TestStore;
  beforeAll(async () => {
    // Sweeps are rare: a change brings its check with it.
    test = await startStore({ worker: { sweepIntervalMs: 60_000 } });
    test.handlers.add('queued-handler', ['queued'], () => undefined);
    test.handlers.add('paid-handler', ['paid'], () => undefined);
    test.handlers.add('other-paid-handler', ['paid', 'fail'], () => undefined);
  });
  afterAll(async () => test.stop());
  beforeEach(async () => test.clear());

  describe('the next job', () => {
    it('is written with the change: key, and the time when the payout is due', async () => {
      const id = await test.add();
      await test.store.claim(id, TOKEN);
      await test.clear();
      await test.store.settle(id, unclear);
      const [job, ...others] = await test.jobs();
      expect(others).toEqual([]);
      expect(job).toMatchObject({ key: `alikassa_check:${id}`, payload: { payoutId: id }, max_attempts: 5 });
      expect((await test.row(id)).due_at).toEqual(job?.run_at);
      expect(await test.holds(id, `due_at - updated_at BETWEEN interval '8 s' AND interval '11 s'`)).toBe(true);
    });

    it('is left to the sweep where a check is not due before it, which adds it once, for when it is due', async () => {
      const later = await startStore({ worker: { sweepIntervalMs: 5_000 } });
      try {
        const [id, other] = [await later.add(), await later.add()];
        await later.store.claim(id, TOKEN);
        await later.store.claim(other, TOKEN);
        await later.clear();
        await later.store.settle(id, unclear);
        await later.store.settle(other, accepted);
        expect(await later.jobs()).toEqual([]);
        expect(await later.store.scheduleChecks(8_000, 10)).toBe(0);
        expect(await later.store.scheduleChecks(12_000, 1)).toBe(1);
        expect(await later.store.scheduleChecks(12_000, 10)).toBe(1);
        expect(await later.store.scheduleChecks(12_000, 10)).toBe(0);
        expect(await later.jobKeys()).toEqual([id, other].map((one) => `alikassa_check:${one}`).toSorted());
        const job = (await later.jobs()).find(({ key }) => key.endsWith(id));
        expect(job).toMatchObject({ payload: { payoutId: id }, max_attempts: 5, run_at: (await later.row(id)).due_at });
      } finally {
        await later.stop();
      }
    });

    it('submits again after an attempt that was never sent', async () => {
      const id = await test.add();
      await test.store.claim(id, TOKEN);
      await test.clear();
      await test.store.settle(id, unsent);
      // The handler of `queued` is called again, since the payout is queued again.
      expect(await test.jobKeys()).toEqual([expect.stringMatching(/^alikassa_deliver:/), `alikassa_submit:${id}`]);
    });

    it('is none for a final payout, which is not due any more', async () => {
      const id = await test.add();
      await test.clear();
      await test.store.settle(id, { type: 'notification', facts: await cancelOf(id) });
      expect(await test.row(id)).toMatchObject({ status: 'cancel', due_at: null });
      expect(await test.jobs()).toEqual([]);
    });

    const cancelOf = async (id: string): Promise<ProviderFacts> => {
      const { order_id: orderId } = await test.row(id);
      return { status: 'cancel', id: '7', orderId: String(orderId) };
    };
  });

  describe('a pause of the account', () => {
    const pauses = async () =>
      (await test.database.pool.query('SELECT account, reason, failures, is_probing FROM alikassa_account_pauses'))
        .rows;

    it('is written with the answer that brought it, and lifted with one to a later request', async () => {
      const paused = await test.add();
      await test.store.claim(paused, TOKEN);
      await test.store.settle(paused, unauthorized);
      expect(await pauses()).toEqual([{ account: RUB, reason: 'unauthorized', failures: 1, is_probing: false }]);
      const lifting = await test.add();
      await test.store.claim(lifting, TOKEN);
      await test.store.settle(lifting, accepted);
      expect(await pauses()).toEqual([]);
    });

    it('stays where the answer is to a request from before it', async () => {
      const [before, paused] = [await test.add(), await test.add()];
      await test.store.claim(before, TOKEN);
      await test.store.claim(paused, TOKEN);
      await test.store.settle(paused, unauthorized);
      await test.store.settle(before, accepted);
      expect(await pauses()).toHaveLength(1);
    });

    it('is not written where the answer says nothing of the account', async () => {
      const id = await test.add();
      await test.store.claim(id, TOKEN);
      await test.store.settle(id, unclear);
      expect(await pauses()).toEqual([]);
    });
  });

  describe('the calls of handlers', () => {
    it('are owed for the event of the change: one for each handler of the status, with a job each', async () => {
      const id = await test.add();
      await test.clear();
      await test.store.settle(id, await test.paid(id));
      const event = (await test.events(id)).at(-1);
      const owed = ['other-paid-handler', 'paid-handler'];
      expect(await test.deliveries()).toEqual(owed.map((handler) => ({ event_id: event?.id, handler })));
      expect(await test.jobKeys()).toEqual(owed.map((handler) => `alikassa_deliver:${event?.id}:${handler}`));
    });

    it('are none where the status has no handler', async () => {
      const id = await test.add();
      await test.clear();
      await test.store.claim(id, TOKEN);
      expect(await test.deliveries()).toEqual([]);
    });

    it('are none where the status did not change', async () => {
      const id = await test.add();
      await test.store.settle(id, await test.paid(id));
      await test.clear();
      await test.store.settle(id, await test.paid(id, { amount: '1' }));
      expect((await test.events(id)).at(-1)).toMatchObject({ from_status: 'paid', to_status: 'paid' });
      expect(await test.deliveries()).toEqual([]);
    });
  });
});
