import { availableParallelism } from 'node:os';
import pg from 'pg';
import { ACCOUNT } from './stage.mjs';

/** Rows of one statement: between two of them it can be said how far it is. */
const BATCH = 250_000;
const MOST_AT_ONCE = 4;

const TABLES = ['alikassa_payouts', 'alikassa_payout_events'];

/**
 * Fills the tables with final payouts, one every 86 seconds back from now, and the last line of the history of each. By
 * SQL, through all columns and checks, past the triggers. What a load of this size would fill page by page in random order,
 * the indexes, is dropped before and made again after it, as pg_restore does; so are the constraints that rest on them. In the end
 * everything is as the migrations have made it, vacuumed and analysed.
 */
export async function insertFinal({ url, pool }, count, say) {
  const remake = await dropIndexes(pool);
  let next = 1;
  let done = 0;
  const insert = async () => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    // The database lets nobody begin a payout at its end.
    await client.query('SET session_replication_role = replica');
    while (next <= count) {
      const [first, last] = [next, Math.min(next + BATCH - 1, count)];
      next = last + 1;
      await client.query(INSERT, [first, last, ACCOUNT]);
      done += last - first + 1;
      if (count > BATCH) say(`${done.toLocaleString('en-US')} of ${count.toLocaleString('en-US')} payouts`);
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, availableParallelism()) }, insert));
  await pool.query("SET maintenance_work_mem = '512MB'");
  for (const statement of remake) {
    if (count > BATCH) say(statement.slice(0, 80));
    await pool.query(statement);
  }
  await pool.query('RESET maintenance_work_mem');
  await pool.query(`VACUUM ANALYZE ${TABLES.join(', ')}`);
  await pool.query('CHECKPOINT');
}

const INSERT = `
  WITH payout AS (
    INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, status, attempt,
      revision, possibly_sent, provider_id, payment_amount, commission_amount, is_partial_payment, created_at,
      updated_at, settled_at, key_id, recipient_ciphertext, number_fingerprint, content_fingerprint)
    SELECT gen_random_uuid(), 'old-' || n, $3, 'RUB', 12, 'qiwi_rub', '*******4455', 'paid', 1, 3, true, n, 12, 0.12,
      false, at, at, at, 'seed', cipher, fingerprint, fingerprint
    FROM generate_series($1::int, $2::int) AS n, decode(repeat('5a', 224), 'hex') AS cipher,
      LATERAL (SELECT now() - n * interval '86 s' AS at, sha256(int4send(n)) AS fingerprint) AS made
    RETURNING id
  )
  INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt)
  SELECT id, 'notification', 'wait', 'paid', 1 FROM payout`;

/** @returns the statements that make them again: keys first, then what refers to them. */
async function dropIndexes(pool) {
  const { rows: constraints } = await pool.query(
    `SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition
     FROM pg_constraint WHERE conrelid = ANY ($1::regclass[]) AND contype IN ('p', 'u', 'f')
       OR confrelid = ANY ($1::regclass[])
     ORDER BY contype = 'f' DESC`,
    [TABLES],
  );
  const { rows: indexes } = await pool.query(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
     FROM pg_index WHERE indrelid = ANY ($1::regclass[]) AND NOT EXISTS (
       SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)`,
    [TABLES],
  );
  for (const { table, name } of constraints) await pool.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
  for (const { name } of indexes) await pool.query(`DROP INDEX ${name}`);
  return [
    ...indexes.map(({ definition }) => definition),
    ...constraints.toReversed().map((one) => `ALTER TABLE ${one.table} ADD CONSTRAINT ${one.name} ${one.definition}`),
  ];
}
