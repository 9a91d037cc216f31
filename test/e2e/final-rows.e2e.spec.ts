import type { DatabaseError } from 'pg';
import type { PayoutStatus } from '../../src/payouts/payout.status.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { rowThatIs } from '../helpers/rows.js';

const REFUSED = '23001';
const FINALS = ['paid', 'cancel', 'fail', 'rejected', 'withdrawn'] as const;
/** What changes by itself, of a final payout too. */
const MAY_CHANGE: Record<string, string> = {
  heard: `'["7:paid"]'`,
  check_count: 'check_count + 1',
  revision: 'revision + 1',
  updated_at: 'clock_timestamp()',
  due_at: 'clock_timestamp()',
};
/** What changes only together. */
const SEALED = ['key_id', 'recipient_ciphertext', 'number_fingerprint', 'content_fingerprint'];
const ROTATED = String.raw`key_id = 'next', recipient_ciphertext = '\x02', number_fingerprint = '\x02', content_fingerprint = '\x02'`;
/** Another value, for each column that has one which the table's own checks let through. */
const ANOTHER: Record<string, string> = {
  id: 'gen_random_uuid()',
  seq: 'DEFAULT',
  account: 'gen_random_uuid()',
  currency: "'EUR'",
  amount: 'amount + 1',
  status: "CASE status WHEN 'paid' THEN 'fail' ELSE 'paid' END",
  attempt: 'attempt + 1',
  attempt_token: 'gen_random_uuid()',
  provider_id: 'floor(random() * 1e15)',
  ended_by: "CASE ended_by WHEN 'provider' THEN 'person' ELSE 'provider' END",
  possibly_sent: 'NOT possibly_sent',
  is_partial_payment: 'true',
  recipient_ciphertext: String.raw`'\x02'`,
  number_fingerprint: String.raw`'\x02'`,
  content_fingerprint: String.raw`'\x02'`,
};
/** What no open payout changes without its event, or at all. */
const KEPT = ['id', 'seq', 'order_id', 'account', 'currency', 'amount', 'service', 'created_at', 'instance'];
KEPT.push('number_masked', 'attention', 'attempt', 'possibly_sent', 'refused_at', ...SEALED);

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(async () => database.drop());

const payout = (status: PayoutStatus, possiblySent?: boolean): Promise<string> =>
  rowThatIs(database.pool, status, possiblySent);

async function columns(): Promise<{ name: string; type: string }[]> {
  const { rows } = await database.pool.query<{ name: string; type: string }>(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
     WHERE table_name = 'alikassa_payouts' ORDER BY ordinal_position`,
  );
  return rows;
}

function otherValue(name: string, type: string): string {
  if (ANOTHER[name]) return ANOTHER[name];
  if (type.startsWith('timestamp')) return "clock_timestamp() + interval '1 h'";
  return type === 'text' || type === 'character varying' ? "'x'" : '7';
}

/** @returns the SQLSTATE, or the number of rows. */
async function attempted(sql: string): Promise<string | number | null> {
  return database.pool.query(sql).then(
    ({ rowCount }) => rowCount,
    ({ code }: DatabaseError) => code ?? null,
  );
}
const change = (id: string, name: string, value: string): string =>
  `UPDATE alikassa_payouts SET ${name} = ${value} WHERE id = '${id}'`;

describe.each(FINALS)('a payout that is %s', (status) => {
  it('keeps every column, whoever writes it', async () => {
    const id = await payout(status);
    const kept = (await columns()).filter(({ name }) => !(name in MAY_CHANGE));
    const answers = await Promise.all(
      kept.map(async ({ name, type }) => [name, await attempted(change(id, name, otherValue(name, type)))]),
    );
    expect(answers).toEqual(kept.map(({ name }) => [name, REFUSED]));
  });

  it('lets a person call and be answered, keys be rotated and the recipient be erased', async () => {
    const id = await payout(status);
    for (const [attention, type] of [
      ["'conflict_status'", 'check'],
      ['NULL', 'person'],
    ]) {
      const told = `WITH changed AS (
          UPDATE alikassa_payouts SET attention = ${attention}, revision = revision + 1 WHERE id = '${id}' RETURNING *
        ) INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt, actor)
          SELECT id, '${type}', status, status, attempt, 'op' FROM changed`;
      expect([type, await attempted(told)]).toEqual([type, 1]);
    }
    expect(await attempted(`UPDATE alikassa_payouts SET ${ROTATED} WHERE id = '${id}'`)).toBe(1);
    expect(await attempted(change(id, 'recipient_ciphertext', 'NULL'))).toBe(1);
    expect(await attempted(`UPDATE alikassa_payouts SET ${ROTATED.replace('next', 'later')} WHERE id = '${id}'`)).toBe(
      REFUSED,
    );
    for (const [name, value] of Object.entries(MAY_CHANGE)) {
      expect([name, await attempted(change(id, name, value))]).toEqual([name, 1]);
    }
  });
});

describe('a final payout', () => {
  it('keeps a column that a later migration adds', async () => {
    const id = await payout('paid');
    await database.pool.query('ALTER TABLE alikassa_payouts ADD COLUMN later text');
    const answer = await attempted(change(id, 'later', "'x'"));
    await database.pool.query('ALTER TABLE alikassa_payouts DROP COLUMN later');
    expect(answer).toBe(REFUSED);
  });

  it('is refused with a sentence that says which it is and what to do', async () => {
    const id = await payout('paid');
    await expect(database.pool.query(change(id, 'status', "'fail'"))).rejects.toThrow(
      `UPDATE of alikassa_payouts (${id}, paid) is refused: a final payout does not change; resolve() closes its alarms`,
    );
  });

  it("does not change through a BEFORE trigger of the host's either", async () => {
    const id = await payout('paid');
    await database.pool.query(`
      CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := 1; RETURN NEW; END $$;
      CREATE TRIGGER zz_meddle BEFORE UPDATE ON alikassa_payouts FOR EACH ROW EXECUTE FUNCTION meddle()`);
    const answer = await attempted(change(id, 'due_at', 'NULL'));
    await database.pool.query('DROP FUNCTION meddle CASCADE');
    expect(answer).toBe(REFUSED);
  });
});

describe.each(['queued', 'sending', 'wait', 'unknown'] as const)('a payout that is %s', (status) => {
  it('keeps what was accepted and what its history tells, and changes otherwise', async () => {
    const id = await payout(status);
    for (const { name, type } of await columns()) {
      if (name === 'status' || name === 'settled_at') continue;
      const value = MAY_CHANGE[name] ?? otherValue(name, type);
      const isRefused = KEPT.includes(name) || (name === 'lease_until' && status !== 'sending');
      expect([name, await attempted(change(id, name, value))]).toEqual([name, isRefused ? REFUSED : 1]);
    }
  });

  it('may be brought under another key as a whole, and is not erased', async () => {
    const id = await payout(status);
    expect(await attempted(`UPDATE alikassa_payouts SET ${ROTATED} WHERE id = '${id}'`)).toBe(1);
    expect(await attempted(change(id, 'recipient_ciphertext', 'NULL'))).toBe(REFUSED);
  });

  it('that may have been sent stays so, and its attempts do not fall', async () => {
    const id = await payout(status, true);
    expect([
      await attempted(change(id, 'possibly_sent', 'false')),
      await attempted(change(id, 'attempt', 'attempt - 1')),
    ]).toEqual([REFUSED, REFUSED]);
  });
});

describe('history', () => {
  it('is not deleted, emptied or rewritten', async () => {
    await payout('paid');
    const all = 'alikassa_payouts, alikassa_payout_events, alikassa_deliveries';
    for (const sql of [
      'DELETE FROM alikassa_payouts',
      'TRUNCATE alikassa_payouts CASCADE',
      `TRUNCATE ${all}`,
      "UPDATE alikassa_payout_events SET actor = 'x'",
      'DELETE FROM alikassa_payout_events',
      'TRUNCATE alikassa_payout_events CASCADE',
      // Nothing is hit: the attempt is a mistake all the same.
      'DELETE FROM alikassa_payouts WHERE false',
    ]) {
      expect([sql, await attempted(sql)]).toEqual([sql, REFUSED]);
    }
    for (const sql of ['DELETE FROM alikassa_payouts', 'TRUNCATE alikassa_payouts CASCADE']) {
      await expect(database.pool.query(sql)).rejects.toThrow(
        /of alikassa_payouts is refused: .* docs\/DATABASE\.md says how to purge/,
      );
    }
  });
});
