import { DatabaseUnavailableError, PayoutNotFoundError, StateConflictError } from '../../src/alikassa.errors.js';
import { RUB } from '../helpers/application.js';
import { blocked } from '../helpers/database.locks.js';
import {
  accepted,
  NONE,
  newPayout,
  startStore,
  TRACE,
  unclear,
  unsent,
  withdrawal,
  type TestStore,
} from '../helpers/store.js';

describe('PayoutStore', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await startStore();
    test.handlers.add('queued-handler', ['queued'], () => undefined);
  });
  afterAll(async () => test.stop());
  beforeEach(async () => test.clear());

  describe('insert', () => {
    it('writes every column, and the payout is queued, due at once', async () => {
      const row = newPayout();
      expect(await test.store.insert(row, undefined, test.dataSource.manager)).toBe(true);
      expect(await test.row(row.id)).toMatchObject({
        order_id: row.orderId,
        account: RUB,
        currency: 'RUB',
        amount: '500.10',
        service: row.service,
        number_masked: row.numberMasked,
        status: 'queued',
        attempt: 0,
        revision: 0,
        possibly_sent: false,
        key_id: 'test',
        recipient_ciphertext: row.recipientCiphertext,
        number_fingerprint: row.numberFingerprint,
        content_fingerprint: row.contentFingerprint,
      });
      expect(await test.holds(row.id, 'due_at = created_at')).toBe(true);
    });

    it.each([
      ['the actor', 'op'],
      ['nobody', undefined],
    ])('writes the first event, by %s', async (_, actor) => {
      const id = await test.add({}, actor);
      expect(await test.events(id)).toEqual([
        expect.objectContaining({
          type: 'created',
          from_status: null,
          to_status: 'queued',
          attempt: 0,
          actor: actor ?? null,
          detail: {},
        }),
      ]);
    });

    it('adds the job that submits it, and the calls of the handlers of queued', async () => {
      const id = await test.add();
      const [event] = await test.events(id);
      expect(await test.jobKeys()).toEqual([`alikassa_deliver:${event?.id}:queued-handler`, `alikassa_submit:${id}`]);
      const jobs = await test.jobs();
      expect(jobs.find(({ key }) => key.startsWith('alikassa_submit'))?.payload).toEqual({ payoutId: id });
      expect(jobs.find(({ key }) => key.startsWith('alikassa_deliver'))?.payload).toEqual({
        eventId: event?.id,
        handler: 'queued-handler',
      });
      expect(await test.deliveries()).toEqual([{ event_id: event?.id, handler: 'queued-handler' }]);
      expect(
        await test.holds(
          id,
          `(SELECT abs(extract(epoch FROM run_at - due_at)) < 1 FROM alikassa_worker.jobs WHERE key = 'alikassa_submit:' || alikassa_payouts.id)`,
        ),
      ).toBe(true);
    });

    it('writes nothing where the order_id is taken', async () => {
      const first = await test.add({ orderId: 'taken' });
      const second = newPayout({ orderId: 'taken' });
      expect(await test.store.insert(second, 'op', test.dataSource.manager)).toBe(false);
      await expect(test.row(second.id)).rejects.toThrow('There is no row');
      expect(await test.events(first)).toHaveLength(1);
      expect(await test.jobs()).toHaveLength(2);
    });

    it('is rolled back with the transaction that it was given', async () => {
      const row = newPayout();
      const work = test.dataSource.transaction(async (manager) => {
        await test.store.insert(row, undefined, manager);
        throw new Error('the host changed its mind');
      });
      await expect(work).rejects.toThrow('changed its mind');
      await expect(test.row(row.id)).rejects.toThrow('There is no row');
      expect(await test.jobs()).toEqual([]);
    });

    it('gives an error without the values of the statement', async () => {
      const row = newPayout({ amount: 'not-a-number' });
      const error: unknown = await test.store.insert(row, undefined, test.dataSource.manager).catch((fault) => fault);
      expect(error).toBeInstanceOf(DatabaseUnavailableError);
      expect(JSON.stringify([String(error), error])).not.toContain('not-a-number');
    });
  });

  describe('settle', () => {
    it('knows the payout, or says that there is none', async () => {
      await expect(test.store.settle(NONE, withdrawal)).rejects.toThrow(PayoutNotFoundError);
      await expect(test.store.settle(NONE, withdrawal)).rejects.toThrow(NONE);
    });

    it('gives the payout as it is after the change', async () => {
      const id = await test.add();
      const { payout, changed } = await test.store.settle(id, withdrawal);
      expect({ changed, status: payout.status, revision: payout.revision }).toEqual({
        changed: true,
        status: 'withdrawn',
        revision: 1,
      });
    });

    it('writes nothing where the evidence changes nothing', async () => {
      const id = await test.add();
      const before = await test.row(id);
      const { payout, changed } = await test.store.settle(id, unclear);
      expect({ changed, id: payout.id }).toEqual({ changed: false, id });
      expect(await test.row(id)).toEqual(before);
      expect(await test.events(id)).toHaveLength(1);
    });

    it('lets a decision that the state forbids through, and writes nothing', async () => {
      const id = await test.add();
      await test.store.settle(id, withdrawal);
      await expect(test.store.settle(id, { type: 'claimed' })).rejects.toThrow(StateConflictError);
      expect(await test.events(id)).toHaveLength(2);
    });

    it('writes the event: what happened, between which states, in which attempt, by whom, with what detail', async () => {
      const id = await test.add();
      await test.store.settle(id, { type: 'claimed' });
      await test.store.settle(id, unclear);
      await test.store.settle(id, { type: 'person', outcome: 'fail', reason: 'asked them', actor: 'op' });
      const [, claimed, submission, person] = await test.events(id);
      expect(claimed).toMatchObject({
        type: 'claimed',
        from_status: 'queued',
        to_status: 'sending',
        attempt: 1,
        actor: null,
      });
      expect(submission).toMatchObject({
        type: 'submission',
        from_status: 'sending',
        to_status: 'unknown',
        attempt: 1,
      });
      expect(submission?.detail).toMatchObject({ outcome: 'unclear', reason: 'test', phase: 'secured' });
      expect(person).toMatchObject({
        type: 'person',
        from_status: 'unknown',
        to_status: 'fail',
        actor: 'op',
        detail: { outcome: 'fail', reason: 'asked them' },
      });
    });

    it('writes no event, and raises the revision, where a check found nothing new', async () => {
      const id = await test.add();
      await test.store.settle(id, { type: 'claimed' });
      await test.store.settle(id, unclear);
      const { changed } = await test.store.settle(id, { type: 'check', outcome: { ...TRACE, kind: 'unclear' } });
      expect(changed).toBe(true);
      expect(await test.events(id)).toHaveLength(3);
      expect(await test.row(id)).toMatchObject({ revision: 3, check_count: 1 });
    });

    it('writes the columns of the decision', async () => {
      const id = await test.add();
      await test.store.settle(
        id,
        await test.paid(id, { paymentAmount: '499', commissionAmount: '1.5', isPartialPayment: false }),
      );
      expect(await test.row(id)).toMatchObject({
        status: 'paid',
        provider_id: '7',
        payment_amount: '499',
        commission_amount: '1.5',
        is_partial_payment: false,
        possibly_sent: true,
        attention: 'known_to_provider_before_sent',
      });
    });

    it('marks when a payout became final, and never again', async () => {
      const id = await test.add();
      await test.store.settle(id, withdrawal);
      const { settled_at: settledAt } = await test.row(id);
      expect(settledAt).toEqual(expect.any(Date));
      expect(await test.holds(id, `settled_at BETWEEN created_at AND clock_timestamp()`)).toBe(true);
      const { changed } = await test.store.settle(id, await test.paid(id));
      expect(changed).toBe(true);
      expect(await test.row(id)).toMatchObject({
        status: 'withdrawn',
        attention: 'conflict_status',
        settled_at: settledAt,
      });
    });

    it('marks every change, by the database’s clock', async () => {
      const id = await test.add();
      await test.change(id, `updated_at = now() - interval '1 day'`);
      await test.store.settle(id, { type: 'claimed' });
      expect(await test.holds(id, `updated_at > now() - interval '1 minute'`)).toBe(true);
      expect(await test.holds(id, 'settled_at IS NULL')).toBe(true);
    });
  });

  describe('two who settle at once', () => {
    it('decide one after the other: the second on what the first has written', async () => {
      const id = await test.add();
      const holder = await test.database.pool.connect();
      await holder.query('BEGIN');
      await holder.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [id]);
      const first = test.store.settle(id, { type: 'claimed' });
      const one = await blocked(test.database.pool, 'WITH changed AS');
      const second = test.store.settle(id, { type: 'claimed' }).catch((error: unknown) => error);
      await blocked(test.database.pool, 'WITH changed AS', one);
      await holder.query('COMMIT');
      holder.release();
      const results = await Promise.all([first.catch((error: unknown) => error), second]);
      expect(results.filter((result) => result instanceof StateConflictError)).toHaveLength(1);
      expect(await test.row(id)).toMatchObject({ status: 'sending', attempt: 1, revision: 1 });
      expect(await test.events(id)).toHaveLength(2);
    });
  });

  describe('the lease', () => {
    it('is written by the claim, and the payout is due when it ends', async () => {
      const id = await test.add();
      const { payout } = await test.store.claim(id);
      expect(payout).toMatchObject({ status: 'sending', attempt: 1 });
      expect(await test.holds(id, 'due_at = lease_until')).toBe(true);
      expect(await test.holds(id, `lease_until - updated_at BETWEEN interval '55 s' AND interval '60 s'`)).toBe(true);
    });

    it.each([
      ['accepted', accepted],
      ['unclear', unclear],
      ['never sent', unsent],
    ])('ends with the attempt: %s', async (_, evidence) => {
      const id = await test.add();
      await test.store.claim(id);
      await test.store.settle(id, evidence);
      expect(await test.row(id)).toMatchObject({ lease_until: null });
    });

    it('stays where something else is written while the attempt runs', async () => {
      const id = await test.add();
      const { payout } = await test.store.claim(id);
      await test.store.settle(id, await test.paid(id, { amount: '1' }));
      expect(await test.row(id)).toMatchObject({
        status: 'sending',
        attention: 'conflict_amount',
        lease_until: payout.leaseUntil,
        due_at: payout.leaseUntil,
      });
    });
  });
});
