import { trace } from '@opentelemetry/api';
import type { EntityManager } from 'typeorm';
import { DatabaseRefusedError } from '../../src/alikassa.errors.js';
import { RUB } from '../helpers/application.js';
import { blocked, type Blocked } from '../helpers/database.locks.js';
import { newPayout, startStore, type TestStore } from '../helpers/store.js';
import { startTelemetry } from '../helpers/telemetry.js';

const INSERT = 'INSERT INTO "alikassa_payouts"';

describe('PayoutIntake', () => {
  let test: TestStore;
  let manager: EntityManager;
  beforeAll(async () => {
    test = await startStore();
    ({ manager } = test.dataSource);
  });
  afterAll(async () => test.stop());
  beforeEach(async () => test.clear());

  it('writes every column, and the payout is queued, due at once', async () => {
    const row = newPayout();
    expect(await test.intake.insert(row, undefined, manager)).toMatchObject({ id: row.id });
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

  it('adds the job that submits it, for now', async () => {
    const id = await test.add();
    expect(await test.jobs()).toEqual([
      expect.objectContaining({ key: `alikassa_submit:${id}`, payload: { payoutId: id } }),
    ]);
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
    expect(await test.intake.insert(second, 'op', manager)).toBeNull();
    await expect(test.row(second.id)).rejects.toThrow('There is no row');
    expect(await test.events(first)).toHaveLength(1);
    expect(await test.jobKeys()).toEqual([`alikassa_submit:${first}`]);
  });

  it('is rolled back with the transaction that it was given', async () => {
    const row = newPayout();
    const work = test.dataSource.transaction(async (manager) => {
      await test.intake.insert(row, undefined, manager);
      throw new Error('the host changed its mind');
    });
    await expect(work).rejects.toThrow('changed its mind');
    await expect(test.row(row.id)).rejects.toThrow('There is no row');
    expect(await test.jobs()).toEqual([]);
  });

  it('gives an error without the values of the statement', async () => {
    const row = newPayout({ amount: 'not-a-number' });
    const error: unknown = await test.intake.insert(row, undefined, manager).catch((fault) => fault);
    expect(error).toBeInstanceOf(DatabaseRefusedError);
    expect(JSON.stringify([String(error), error])).not.toContain('not-a-number');
  });

  describe('where a handler hears of queued', () => {
    beforeAll(() => test.handlers.add('queued-handler', ['queued'], () => undefined));

    it('adds the calls of the handlers of queued', async () => {
      const id = await test.add();
      const [event] = await test.events(id);
      const call = `alikassa_deliver:${event?.id}:queued-handler`;
      expect(await test.jobKeys()).toEqual([call, `alikassa_submit:${id}`]);
      const jobs = await test.jobs();
      expect(jobs.find(({ key }) => key === call)?.payload).toEqual({ eventId: event?.id, handler: 'queued-handler' });
      expect(await test.deliveries()).toEqual([{ event_id: event?.id, handler: 'queued-handler' }]);
    });

    it('links its jobs to the trace that is active, and only those', async () => {
      const telemetry = startTelemetry();
      const untraced = await test.add();
      const { id, parent } = await trace.getTracer('host').startActiveSpan('withdraw', async (span) => {
        const { traceId, spanId } = span.spanContext();
        return { id: await test.add(), parent: `00-${traceId}-${spanId}-01` };
      });
      await telemetry.stop();
      const [event] = await test.events(id);
      const payloads = (await test.jobs()).map(({ payload }) => payload);
      expect(payloads).toContainEqual({ payoutId: untraced });
      expect(payloads).toContainEqual({ payoutId: id, traceparent: parent });
      expect(payloads).toContainEqual({ eventId: event?.id, handler: 'queued-handler', traceparent: parent });
    });

    describe('payouts at the same time', () => {
      /** The transactions that have written them. */
      const transactions = async (ids: string[]): Promise<unknown[]> =>
        (await test.database.pool.query('SELECT DISTINCT xmin::text FROM alikassa_payouts WHERE id = ANY($1)', [ids]))
          .rows;

      it('are written by one transaction, each with its own event, actor, job and call', async () => {
        const rows = ['one', 'two', 'three'].map((numberMasked) => newPayout({ numberMasked }));
        const actors = ['first', undefined, 'third'];
        const inserted = await Promise.all(rows.map((row, index) => test.intake.insert(row, actors[index], manager)));
        expect(inserted.map((payout) => [payout?.id, payout?.numberMasked])).toEqual(
          rows.map(({ id, numberMasked }) => [id, numberMasked]),
        );
        expect(await transactions(rows.map(({ id }) => id))).toHaveLength(1);
        const events = (await Promise.all(rows.map(({ id }) => test.events(id)))).flat();
        expect(events.map(({ actor }) => actor)).toEqual(['first', null, 'third']);
        expect(await test.jobKeys()).toEqual(
          [
            ...events.map(({ id }) => `alikassa_deliver:${id}:queued-handler`),
            ...rows.map(({ id }) => `alikassa_submit:${id}`),
          ].toSorted(),
        );
      });

      it('are no more than 100 in one transaction', async () => {
        const rows = Array.from({ length: 101 }, () => newPayout());
        await Promise.all(rows.map((row) => test.intake.insert(row, undefined, manager)));
        expect(await transactions(rows.map(({ id }) => id))).toHaveLength(2);
      });

      it('of one order: one is written, the others are told that it is taken', async () => {
        const rows = Array.from({ length: 3 }, () => newPayout({ orderId: 'thrice' }));
        const inserted = await Promise.all(rows.map((row) => test.intake.insert(row, undefined, manager)));
        expect(inserted.filter((payout) => payout !== null)).toHaveLength(1);
        expect(inserted.filter((payout) => payout === null)).toHaveLength(2);
        expect(await test.jobs()).toHaveLength(2);
      });

      it('of one id: it is written once, and told once', async () => {
        const row = newPayout();
        const inserted = await Promise.all([row, row].map((one) => test.intake.insert(one, undefined, manager)));
        expect(inserted).toEqual([expect.objectContaining({ id: row.id }), null]);
      });

      it('are written without the one that the database refuses', async () => {
        const rows = [newPayout(), newPayout({ amount: '1000000000' }), newPayout()];
        const [before, refused, after] = await Promise.allSettled(
          rows.map((row) => test.intake.insert(row, undefined, manager)),
        );
        expect([before, after]).toMatchObject([{ value: { id: rows[0]?.id } }, { value: { id: rows[2]?.id } }]);
        expect(refused).toMatchObject({ status: 'rejected', reason: expect.any(DatabaseRefusedError) as unknown });
      });

      it('do not wait for an order that another transaction holds', async () => {
        await test.dataSource
          .transaction(async (own) => {
            const waiting: Promise<unknown>[] = [];
            let last: Blocked | undefined;
            // More than run at once: none of them may keep its place.
            for (const orderId of ['held 1', 'held 2', 'held 3']) {
              await test.intake.insert(newPayout({ orderId }), undefined, own);
              waiting.push(test.intake.insert(newPayout({ orderId }), undefined, manager));
              last = await blocked(test.database.pool, INSERT, last);
            }
            const free = newPayout();
            expect(await test.intake.insert(free, undefined, manager)).toMatchObject({ id: free.id });
            return { waiting };
          })
          .then(async ({ waiting }) => expect(await Promise.all(waiting)).toEqual([null, null, null]));
      });
    });
  });
});
