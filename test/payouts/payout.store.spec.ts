import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { PayoutNotFoundError, StaleRevisionError, StateConflictError } from '../../src/alikassa.errors.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import type { Alongside } from '../../src/payouts/payout.changes.js';
import { blocked } from '../helpers/database.locks.js';
import {
  accepted,
  CLAIMED,
  NONE,
  startStore,
  TOKEN,
  TRACE,
  type TestStore,
  unclear,
  unsent,
  withdrawal,
} from '../helpers/store.js';

const DECISION = '3d2b4a3e-6f0a-4a5e-9a44-00000000d001';

describe('PayoutStore', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await startStore();
    test.handlers.add('queued-handler', ['queued'], () => undefined);
  });
  afterAll(async () => test.stop());
  beforeEach(async () => test.clear());

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
      const { payout, changed } = await test.store.settle(id, { type: 'lease_expired' });
      expect({ changed, id: payout.id }).toEqual({ changed: false, id });
      expect(await test.row(id)).toEqual(before);
      expect(await test.events(id)).toHaveLength(1);
    });

    it('lets a decision that the state forbids through, and writes nothing', async () => {
      const id = await test.add();
      await test.store.settle(id, withdrawal);
      await expect(test.store.settle(id, CLAIMED)).rejects.toThrow(StateConflictError);
      expect(await test.events(id)).toHaveLength(2);
    });

    it('writes the event: what happened, between which states, in which attempt, by whom, with what detail', async () => {
      const id = await test.add();
      await test.store.settle(id, CLAIMED);
      await test.store.settle(id, unclear);
      await test.store.settle(id, {
        type: 'person',
        decision: DECISION,
        revision: 2,
        outcome: 'fail',
        reason: 'asked them',
        actor: 'op',
      });
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

    it('writes no event, and leaves the revision to those who decide by it, where a check found nothing new', async () => {
      const id = await test.add();
      await test.store.settle(id, CLAIMED);
      await test.store.settle(id, unclear);
      const { changed } = await test.store.settle(id, { type: 'check', outcome: { ...TRACE, kind: 'unclear' } });
      expect(changed).toBe(true);
      expect(await test.events(id)).toHaveLength(3);
      expect(await test.row(id)).toMatchObject({ revision: 2, check_count: 1 });
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
        attention: 'known_to_provider_before_sent paid_in_part',
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
      await test.store.settle(id, CLAIMED);
      expect(await test.holds(id, `updated_at > now() - interval '1 minute'`)).toBe(true);
      expect(await test.holds(id, 'settled_at IS NULL')).toBe(true);
    });
  });

  describe('settle, given the payout as it was last known', () => {
    it('reads nothing before it writes, and gives what is known for the next time', async () => {
      const id = await test.add();
      const known = await test.store.read(id);
      const read = jest.spyOn(test.store, 'read');
      try {
        const claimed = await test.store.claim(id, TOKEN, known);
        const { payout, known: last } = await test.store.settle(id, accepted, { known: claimed.known });
        expect(read).not.toHaveBeenCalled();
        expect(payout).toMatchObject({ status: 'wait', attempt: 1, revision: 2, providerId: '7', leaseUntil: null });
        expect(last.payout).toBe(payout);
        read.mockRestore();
        expect((await test.store.read(id)).payout).toEqual(payout);
      } finally {
        read.mockRestore();
      }
    });

    it('decides anew where the row has changed meanwhile', async () => {
      const id = await test.add();
      const { known } = await test.store.claim(id, TOKEN);
      await test.store.settle(id, await test.paid(id, { amount: '1' }));
      const { payout, changed } = await test.store.settle(id, accepted, { known });
      expect(changed).toBe(true);
      expect(payout).toMatchObject({ status: 'wait', attention: ['conflict_amount'], revision: 3 });
    });

    it('does not take the word of a stale one that nothing changes', async () => {
      const id = await test.add();
      const known = await test.store.read(id);
      await test.store.claim(id, TOKEN);
      const { payout, changed } = await test.store.settle(id, unclear, { known });
      expect({ changed, status: payout.status }).toEqual({ changed: true, status: 'unknown' });
    });

    it('does not take the word of a stale one that the state forbids it', async () => {
      const id = await test.add();
      const { known } = await test.store.claim(id, TOKEN);
      await test.store.settle(id, unsent);
      const { payout } = await test.store.settle(id, { ...withdrawal, revision: 2 } as Evidence, { known });
      expect(payout.status).toBe('withdrawn');
    });

    it('is as fresh as its clock says: a lease is counted from now, not from when it was read', async () => {
      const id = await test.add();
      const known = await test.store.read(id);
      await sleep(1_500);
      await test.store.claim(id, TOKEN, known);
      expect(await test.holds(id, `lease_until - updated_at > interval '59 s'`)).toBe(true);
    });
  });

  describe('what is to commit alongside', () => {
    beforeAll(async () => void (await test.database.pool.query('CREATE TABLE notes (note text)')));
    const notes = async (): Promise<unknown[]> =>
      (await test.database.pool.query('SELECT note FROM notes ORDER BY note')).rows;
    const alongside =
      (note: string): Alongside =>
      (bind, changed) =>
        `INSERT INTO notes SELECT ${bind(note, 'text')} FROM ${changed}`;

    it('commits with the change, and with no other', async () => {
      const id = await test.add();
      await test.store.settle(id, CLAIMED, { alongside: alongside('claimed') });
      expect(await notes()).toEqual([{ note: 'claimed' }]);
      const stale = await test.store.read(id);
      await test.store.settle(id, unclear);
      await test.store.settle(id, await test.paid(id), { known: stale, alongside: alongside('paid') });
      expect(await notes()).toEqual([{ note: 'claimed' }, { note: 'paid' }]);
      const { changed } = await test.store.settle(id, await test.paid(id), { alongside: alongside('again') });
      expect(changed).toBe(false);
      expect(await notes()).toHaveLength(2);
    });
  });

  describe('changes at the same time', () => {
    const settledAll = (ids: string[]): Promise<unknown[]> =>
      Promise.all(ids.map((id) => test.store.settle(id, withdrawal)));

    it('of one kind are one transaction, each with its own event', async () => {
      const ids = [await test.add(), await test.add(), await test.add()];
      await settledAll(ids);
      const { rows } = await test.database.pool.query(
        "SELECT DISTINCT xmin::text FROM alikassa_payouts WHERE id = ANY($1) AND status = 'withdrawn'",
        [ids],
      );
      expect(rows).toHaveLength(1);
      for (const id of ids) expect((await test.events(id)).map(({ type }) => type)).toEqual(['created', 'withdrawal']);
    });

    it('of one payout: the second is decided on what the first has written', async () => {
      const id = await test.add();
      const known = await test.store.read(id);
      const results = await Promise.allSettled([test.store.claim(id, TOKEN, known), test.store.claim(id, NONE, known)]);
      expect(results).toMatchObject([
        { status: 'fulfilled', value: { payout: { status: 'sending', attempt: 1 } } },
        { status: 'rejected', reason: expect.any(StateConflictError) as unknown },
      ]);
      expect(await test.row(id)).toMatchObject({ attempt: 1, revision: 1 });
    });

    it('are written without one whose row has changed since it was read', async () => {
      const [changed, same] = [await test.add(), await test.add()];
      const stale = await test.store.read(changed);
      await test.store.settle(changed, withdrawal);
      const results = await Promise.allSettled([
        test.store.claim(changed, TOKEN, stale),
        test.store.claim(same, TOKEN, await test.store.read(same)),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
      expect([(await test.row(changed))['status'], (await test.row(same))['status']]).toEqual(['withdrawn', 'sending']);
    });
  });

  describe('two who settle at once', () => {
    it('decide one after the other: the second on what the first has written', async () => {
      const id = await test.add();
      // Two processes: those of one would go in turn.
      const { store } = test;
      await test.clear();
      const holder = await test.database.pool.connect();
      await holder.query('BEGIN');
      await holder.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [id]);
      const first = store.settle(id, CLAIMED);
      const one = await blocked(test.database.pool, ', changed AS');
      const second = test.store.claim(id, NONE).catch((error: unknown) => error);
      await blocked(test.database.pool, ', changed AS', one);
      await holder.query('COMMIT');
      holder.release();
      const results = await Promise.all([first.catch((error: unknown) => error), second]);
      expect(results.filter((result) => result instanceof StateConflictError)).toHaveLength(1);
      expect(await test.row(id)).toMatchObject({ status: 'sending', attempt: 1, revision: 1 });
      expect(await test.events(id)).toHaveLength(2);
    });
  });

  describe('a decision', () => {
    const decision = (revision: number, id = DECISION): Evidence => ({
      type: 'person',
      decision: id,
      revision,
      outcome: 'resubmit',
      reason: 'asked them',
      actor: 'op',
    });
    const held = async (): Promise<string> => {
      const id = await test.add();
      await test.store.claim(id, TOKEN);
      await test.store.settle(id, unclear);
      return id;
    };

    it('is kept with its event, under the revision that it led to', async () => {
      const id = await held();
      await test.store.settle(id, decision(2));
      expect((await test.events(id)).at(-1)).toMatchObject({ type: 'person', decision: DECISION, revision: 3 });
      expect((await test.events(id)).map(({ revision }) => revision)).toEqual([0, 1, 2, 3]);
    });

    it('made again is found done, and touches nothing that has happened since', async () => {
      const id = await held();
      await test.store.settle(id, decision(2));
      await test.store.claim(id, NONE);
      const before = await test.row(id);
      const { changed, payout } = await test.store.settle(id, decision(2));
      expect({ changed, status: payout.status }).toEqual({ changed: false, status: 'sending' });
      expect(await test.row(id)).toEqual(before);
    });

    it('on a state that has passed is refused, and what has happened since can be told', async () => {
      const id = await held();
      await test.store.settle(id, decision(2));
      const other = test.store.settle(id, decision(2, NONE));
      await expect(other).rejects.toThrow(StaleRevisionError);
      await expect(other).rejects.toMatchObject({ payoutId: id, seen: 2, revision: 3 });
      const changes = await test.store.events(id, 2);
      expect(changes.map(({ type, toStatus }) => [type, toStatus])).toEqual([['person', 'queued']]);
    });

    it('is made on the row as it is now, not as somebody remembers it', async () => {
      const id = await held();
      const known = await test.store.read(id);
      await test.store.settle(id, await test.paid(id, { amount: '1' }));
      await expect(test.store.settle(id, decision(2), { known })).rejects.toThrow(StaleRevisionError);
    });
  });

  describe('an id of the provider', () => {
    it('belongs to one payout: named for a second one it is a conflict that settles nothing', async () => {
      const [first, second, third] = [await test.add(), await test.add(), await test.add()];
      await test.store.settle(first, await test.paid(first));
      const { payout } = await test.store.settle(second, await test.paid(second));
      expect(payout).toMatchObject({ status: 'queued', attention: ['conflict_provider_id'], providerId: null });
      await test.store.claim(third, TOKEN);
      const submitted = await test.store.settle(third, accepted);
      expect(submitted.payout).toMatchObject({
        status: 'unknown',
        attention: ['conflict_provider_id'],
        providerId: null,
      });
      expect((await test.store.read(first)).payout).toMatchObject({ status: 'paid', providerId: '7' });
    });

    it('named for two at once is given to one of them, and the others of the batch are written', async () => {
      const ids = [await test.add(), await test.add(), await test.add()];
      const facts = ['7', '7', '8'];
      const evidence = await Promise.all(ids.map((id, index) => test.paid(id, { id: facts[index]! })));
      const settled = await Promise.all(ids.map((id, index) => test.store.settle(id, evidence[index]!)));
      expect(settled.map(({ payout }) => payout.status).toSorted()).toEqual(['paid', 'paid', 'queued']);
      expect(settled[2]?.payout.status).toBe('paid');
    });
  });

  describe('the lease', () => {
    it('is written by the claim, and the payout is due when it ends', async () => {
      const id = await test.add();
      const { payout } = await test.store.claim(id, TOKEN);
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
      await test.store.claim(id, TOKEN);
      await test.store.settle(id, evidence);
      expect(await test.row(id)).toMatchObject({ lease_until: null });
    });

    it('stays where something else is written while the attempt runs', async () => {
      const id = await test.add();
      const { payout } = await test.store.claim(id, TOKEN);
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
