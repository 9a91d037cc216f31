import { DataSource } from 'typeorm';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { RecipientRetention } from '../../src/payouts/recipient.retention.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { expectNoRecipient, historyOf } from '../helpers/payout.checks.js';
import { until } from '../helpers/until.js';
import { unprotected } from '../helpers/unprotected.js';

let surroundings: TestSurroundings;
/** Accepts, and neither sends nor sweeps. */
let host: TestApplication;

const query = async (sql: string, params: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql, params)).rows;
const accept = (changes: Record<string, unknown> = {}): Promise<Payout> =>
  host.payouts.create(payload(changes) as never);
/** Accepted, and ended so long ago. */
async function ended(ago: string, changes: Record<string, unknown> = {}): Promise<Payout> {
  const payout = await accept(changes);
  await unprotected(
    surroundings.database.pool,
    `UPDATE alikassa_payouts SET status = 'withdrawn', due_at = NULL, settled_at = now() - $2::interval WHERE id = $1`,
    [payout.id, ago],
  );
  return payout;
}
const readable = async (): Promise<unknown[]> =>
  (await query('SELECT id FROM alikassa_payouts WHERE recipient_ciphertext IS NOT NULL ORDER BY seq')).map(
    ({ id }) => id,
  );
const retention = (days?: number): RecipientRetention =>
  new RecipientRetention(host.app.get(DataSource), { instance: 'default', recipientRetentionDays: days });

beforeEach(async () => {
  surroundings = await prepare();
  host = await startApplication({ surroundings, options: { worker: { enabled: false } } });
});
afterEach(async () => {
  await host.stop();
  await surroundings.stop();
});

describe('the retention', () => {
  it('erases the recipients of payouts that ended longer ago, and no others', async () => {
    await ended('31 days');
    const young = await ended('29 days');
    const open = await accept();
    const older = "UPDATE alikassa_payouts SET created_at = now() - interval '99 days' WHERE id = $1";
    await unprotected(surroundings.database.pool, older, [open.id]);
    expect(await retention(30).erase()).toBe(1);
    expect(await readable()).toEqual([young.id, open.id]);
  });

  it('is part of the sweep, which says how many', async () => {
    const logger = new LogLines();
    const { id } = await ended('31 days');
    const sweeping = await startApplication({
      surroundings,
      port: await freePort(),
      logger,
      options: { recipientRetentionDays: 30, worker: { sweepIntervalMs: 500 } },
    });
    await until(async () => (await readable()).length === 0);
    await until(() => logger.lines.some((line) => line.includes('Erased the recipients of 1 payouts')));
    await sweeping.stop();
    expectNoRecipient(logger);
    expect(await historyOf(host, id)).toEqual(['created:->queued']);
  });

  it('keeps everything unless it is asked for', async () => {
    const { id } = await ended('9999 days');
    expect(await retention().erase()).toBe(0);
    expect(await readable()).toEqual([id]);
  });

  it('leaves masked number and fingerprints: repeats and searches are answered as before', async () => {
    const order = payload();
    const { id } = await ended('31 days', order);
    const kept = "SELECT to_jsonb(p) - 'recipient_ciphertext' AS row FROM alikassa_payouts AS p";
    const was = await query(kept);
    expect(await retention(30).erase()).toBe(1);
    expect(await query(kept)).toEqual(was);
    const repeat = await host.http().post('/alikassa/payouts').send(order);
    expect([repeat.status, repeat.body]).toMatchObject([200, { id, number: '*******4455' }]);
    expect(
      (
        await host
          .http()
          .post('/alikassa/payouts')
          .send({ ...order, amount: '13.00' })
      ).status,
    ).toBe(409);
    expect((await host.payouts.search({ number: String(order['number']) })).data).toMatchObject([{ id }]);
  });

  it('erases a backlog in batches, and waits for no row that somebody holds', async () => {
    const held = await ended('40 days');
    const { id } = await ended('31 days');
    await unprotected(
      surroundings.database.pool,
      `INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, status, settled_at,
         key_id, recipient_ciphertext, number_fingerprint, content_fingerprint)
       SELECT gen_random_uuid(), n, account, currency, amount, service, number_masked, status, settled_at,
         key_id, recipient_ciphertext, number_fingerprint, content_fingerprint
       FROM alikassa_payouts, generate_series(1, 700) AS n WHERE id = $1`,
      [id],
    );
    const client = await surroundings.database.pool.connect();
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM alikassa_payouts WHERE id = $1 FOR UPDATE', [held.id]);
    expect(await retention(30).erase()).toBe(701);
    await client.query('ROLLBACK');
    client.release();
    expect(await readable()).toEqual([held.id]);
    expect(await retention(30).erase()).toBe(1);
  });

  it('finds what is due by an index that holds no erased and no open payout', async () => {
    const [index] = await query(
      `SELECT pg_get_expr(indpred, indrelid) AS predicate FROM pg_index WHERE indexrelid = 'alikassa_payouts_readable_idx'::regclass`,
    );
    expect(index?.['predicate']).toBe('((recipient_ciphertext IS NOT NULL) AND (settled_at IS NOT NULL))');
    const client = await surroundings.database.pool.connect();
    await client.query('SET enable_seqscan = off; SET enable_bitmapscan = off');
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT id FROM alikassa_payouts WHERE instance = 'default' AND recipient_ciphertext IS NOT NULL
         AND settled_at < now() - 30 * interval '1 day' ORDER BY settled_at LIMIT 500 FOR UPDATE SKIP LOCKED`,
    );
    await client.query('RESET ALL');
    client.release();
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('Index Scan using alikassa_payouts_readable_idx');
  });
});
