import { DatabaseRefusedError, DatabaseUnavailableError } from '../../src/alikassa.errors.js';
import { NONE, startStore, TOKEN, type TestStore, withdrawal } from '../helpers/store.js';

describe('PayoutStore on a database that fails', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await startStore();
  });
  afterAll(async () => test.stop());

  describe('durability', () => {
    it('does not depend on the role’s synchronous_commit', async () => {
      await test.database.pool.query(`CREATE TABLE seen (setting text);
        CREATE FUNCTION note_setting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER note_setting AFTER UPDATE ON alikassa_payouts DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION note_setting()`);
      try {
        const id = await test.add();
        await test.dataSource.query(`SET synchronous_commit = off`);
        await test.store.claim(id, TOKEN);
        const { rows } = await test.database.pool.query<{ setting: string }>('SELECT setting FROM seen');
        expect(rows).toEqual([{ setting: 'on' }]);
      } finally {
        await test.dataSource.query(`RESET synchronous_commit`);
        await test.database.pool.query('DROP TRIGGER note_setting ON alikassa_payouts; DROP TABLE seen');
      }
    });
  });

  describe('a database that fails', () => {
    /** Every update of a payout fails with the SQLSTATE, the first so many times. A sequence is not rolled back. */
    const failing = async (state: string, times: number, work: () => Promise<void>): Promise<number> => {
      const { pool } = test.database;
      await pool.query(`CREATE SEQUENCE failures;
        CREATE FUNCTION fail_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF nextval('failures') <= ${times} THEN RAISE 'staged' USING ERRCODE = '${state}'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail_update BEFORE UPDATE ON alikassa_payouts FOR EACH ROW EXECUTE FUNCTION fail_update()`);
      try {
        await work();
        const { rows } = await pool.query<{ last_value: string }>('SELECT last_value FROM failures');
        return Number(rows[0]?.last_value);
      } finally {
        await pool.query(
          'DROP TRIGGER fail_update ON alikassa_payouts; DROP FUNCTION fail_update; DROP SEQUENCE failures',
        );
      }
    };

    it('for a moment: the change is repeated, and made once', async () => {
      const id = await test.add();
      const updates = await failing('40001', 6, async () => {
        expect((await test.store.settle(id, withdrawal)).changed).toBe(true);
      });
      expect(updates).toBe(7);
      expect(await test.row(id)).toMatchObject({ status: 'withdrawn', revision: 1 });
      expect(await test.events(id)).toHaveLength(2);
    }, 30_000);

    it('for longer: seven attempts, then an error that says what to do, and nothing is written', async () => {
      const id = await test.add();
      const updates = await failing('40001', 1_000, async () => {
        const error: unknown = await test.store.settle(id, withdrawal).catch((fault: unknown) => fault);
        expect(error).toBeInstanceOf(DatabaseUnavailableError);
        expect(String(error)).toMatch(/40001.*repeat the call/);
      });
      expect(updates).toBe(7);
      expect(await test.row(id)).toMatchObject({ status: 'queued', revision: 0 });
    }, 30_000);

    it('for good: one attempt, and an error without the statement', async () => {
      const id = await test.add();
      const updates = await failing('23514', 1_000, async () => {
        const error: unknown = await test.store.settle(id, withdrawal).catch((fault: unknown) => fault);
        expect(error).toBeInstanceOf(DatabaseRefusedError);
        expect(JSON.stringify([String(error), error])).not.toMatch(/UPDATE|staged/);
      });
      expect(updates).toBe(1);
    });

    it('gives every reading an error of ours', async () => {
      await test.database.pool.query('ALTER TABLE alikassa_payouts RENAME TO away');
      try {
        const readings = [
          test.store.findForNotification('A', Buffer.alloc(32)),
          test.store.findSealed('A', test.dataSource.manager),
          test.store.readToSend(NONE),
          test.store.expiredLeases(1),
          test.store.requeueOverdue({ overdueMs: 1, limit: 1, runMs: 1 }),
          test.store.settle(NONE, withdrawal),
        ];
        for (const reading of readings) await expect(reading).rejects.toThrow(DatabaseRefusedError);
      } finally {
        await test.database.pool.query('ALTER TABLE away RENAME TO alikassa_payouts');
      }
    });
  });
});
