import { randomBytes, randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { RecipientRotation, type RotationOptions, type RotationReport } from '../../src/payouts/recipient.rotation.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { blocked, meanwhile } from '../helpers/database.locks.js';
import { eventually } from '../helpers/until.js';
import { payload } from '../helpers/payload.js';
import { SWAP, TAMPERINGS } from '../helpers/tampering.js';
import { unprotected } from '../helpers/unprotected.js';

const oldKey = { id: 'old', key: randomBytes(32).toString('base64') };
const newKey = { id: 'new', key: randomBytes(32).toString('base64') };
const rotatedRing = [newKey, oldKey];
const BATCH = 200;
let surroundings: TestSurroundings;
/** Accepts under the old key, sends nothing. */
let before: TestApplication;
/** The rotated ring; sends nothing. */
let after: TestApplication;
const worker = { enabled: false };

const query = async (sql: string, params: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await surroundings.database.pool.query<Record<string, unknown>>(sql, params)).rows;
const keysInUse = async (): Promise<unknown[]> =>
  (await query('SELECT DISTINCT key_id FROM alikassa_payouts ORDER BY 1')).map(({ key_id }) => key_id);
const accept = (changes: Record<string, unknown> = {}): Promise<Payout> =>
  before.payouts.create(payload(changes) as never);
const rotate = (options?: RotationOptions): Promise<RotationReport> => after.app.get(RecipientRotation).run(options);
const start = async (encryptionKeys = rotatedRing, options = {}): Promise<TestApplication> =>
  startApplication({ surroundings, port: await freePort(), options: { encryptionKeys, worker, ...options } });

/** Many, in one transaction. */
async function acceptMany(count: number): Promise<void> {
  await before.app.get(DataSource).transaction(async (manager) => {
    for (let i = 0; i < count; i++) await before.payouts.create(payload() as never, { manager });
  });
}
async function end(id: string): Promise<void> {
  const sql = `UPDATE alikassa_payouts SET status = 'withdrawn', settled_at = now() WHERE id = $1`;
  await unprotected(surroundings.database.pool, sql, [id]);
}

beforeEach(async () => {
  surroundings = await prepare();
  before = await start([oldKey, newKey]);
  after = await start();
});
afterEach(async () => {
  await before.stop();
  await after.stop();
  await surroundings.stop();
});

describe('the rotation', () => {
  it('leaves every row readable, repeatable and searchable without the old key', async () => {
    const url = 'https://host.example/own';
    const byDefault = surroundings.options.notificationUrl;
    const orders = [
      payload({ amount: '5' }),
      payload({ notification_endpoint_url: url }),
      payload({ notification_endpoint_url: byDefault }),
      payload({ notification_endpoint_id: 7 }),
      payload({ extra: {}, customer_first_name: 'Иван' }),
    ];
    for (const order of orders) await accept(order);
    expect(await rotate()).toEqual({
      rotated: 5,
      unreadable: 0,
      total: 5,
      isStopped: false,
      left: [],
      unused: ['old'],
    });
    // The default URL has changed since: it is no part of what a repeat is compared by.
    const alone = await start([newKey], { notificationUrl: 'https://elsewhere.example/', worker: {} });
    for (const order of orders) {
      const { body, status } = await alone.http().post('/alikassa/payouts').send(order);
      expect([status, body.order_id]).toEqual([200, order['order_id']]);
      const other = { ...order, amount: '13.00' };
      expect((await alone.http().post('/alikassa/payouts').send(other)).status).toBe(409);
      await alone.until(body.id, 'paid');
    }
    const found = await alone.payouts.search({ number: String(orders[0]?.['number']) });
    expect(found.data.map(({ orderId }) => orderId)).toEqual(orders.map(({ order_id }) => order_id).toReversed());
    // What was sent is what was accepted, the default URL of that time included.
    expect(surroundings.simulator.signatureFailures).toBe(0);
    await alone.stop();
  });

  it('changes nothing but key, ciphertext and fingerprints', async () => {
    await accept();
    await end((await accept()).id);
    const rest = `SELECT to_jsonb(p) - '{key_id,recipient_ciphertext,number_fingerprint,content_fingerprint}'::text[] AS row
      FROM alikassa_payouts AS p ORDER BY seq`;
    const was = await query(rest);
    await rotate();
    expect(await query(rest)).toEqual(was);
    expect(await keysInUse()).toEqual(['new']);
    const events = await query("SELECT type FROM alikassa_payout_events WHERE type <> 'created'");
    expect(events).toEqual([]);
  });

  it('pays every payout once while payouts flow', async () => {
    await acceptMany(20);
    const running = await start([oldKey, newKey], { worker: { sweepIntervalMs: 500 } });
    const flow = (async () => {
      for (let i = 0; i < 30; i++) await accept();
    })();
    // Two at once: no row is written twice.
    const reports = await Promise.all([rotate(), rotate()]);
    await flow;
    reports.push(await rotate());
    expect(await keysInUse()).toEqual(['new']);
    expect(reports.reduce((sum, { rotated }) => sum + rotated, 0)).toBe(50);
    await eventually(
      'all are paid',
      async () => (await query("SELECT 1 FROM alikassa_payouts WHERE status <> 'paid'")).length === 0,
    );
    const orders = await query('SELECT order_id FROM alikassa_payouts');
    for (const { order_id } of orders) expect(surroundings.simulator.accepted(String(order_id))).toBe(1);
    expect(await query('SELECT 1 FROM alikassa_payouts WHERE attention IS NOT NULL')).toEqual([]);
    await running.stop();
  });

  it('waits for no row that somebody holds, and comes back to it', async () => {
    const held = await accept();
    await accept();
    await accept();
    const lock = `SELECT 1 FROM alikassa_payouts WHERE id = '${held.id}' FOR UPDATE`;
    const running = await meanwhile(surroundings.database.pool, [lock], async () => {
      const run = rotate();
      await eventually(
        'the others are rotated',
        async () => (await query("SELECT 1 FROM alikassa_payouts WHERE key_id = 'new'")).length === 2,
      );
      return { run };
    });
    expect(await running.run).toMatchObject({ rotated: 3, left: [], unused: ['old'] });
  });

  it('stops after the batch under way, and goes on from there', async () => {
    await acceptMany(BATCH + 50);
    const stop = new AbortController();
    const progress: number[] = [];
    const stopped = await rotate({
      signal: stop.signal,
      onProgress: ({ rotated }) => {
        progress.push(rotated);
        stop.abort();
      },
    });
    const left = [{ keyId: 'old', sealed: 50, erased: 0 }];
    expect(stopped).toEqual({ rotated: BATCH, unreadable: 0, total: BATCH + 50, isStopped: true, left, unused: [] });
    expect(progress).toEqual([BATCH]);
    expect(await rotate()).toMatchObject({ rotated: 50, total: 50, left: [], unused: ['old'] });
    expect(await rotate()).toMatchObject({ rotated: 0, total: 0 });
  });

  it('keeps the key of rows without a ciphertext, since their fingerprints cannot be made anew', async () => {
    const { id } = await accept();
    await end(id);
    await query('UPDATE alikassa_payouts SET recipient_ciphertext = NULL');
    const fingerprints = 'SELECT key_id, number_fingerprint, content_fingerprint FROM alikassa_payouts';
    const was = await query(fingerprints);
    const left = [{ keyId: 'old', sealed: 0, erased: 1 }];
    expect(await rotate()).toMatchObject({ rotated: 0, unreadable: 0, left, unused: [] });
    expect(await query(fingerprints)).toEqual(was);
  });

  it('brings no recipient back that was erased after it had been read', async () => {
    const { pool } = surroundings.database;
    const [unreadable, erased] = [await accept(), await accept()];
    await end(erased.id);
    await unprotected(pool, `UPDATE alikassa_payouts SET key_id = 'gone' WHERE id = $1`, [unreadable.id]);
    const lock = `SELECT 1 FROM alikassa_payouts WHERE id = '${unreadable.id}' FOR UPDATE`;
    const running = await meanwhile(pool, [lock], async () => {
      const run = rotate();
      // Both were read; the first waits to be marked.
      await blocked(pool, 'UPDATE');
      await query('UPDATE alikassa_payouts SET recipient_ciphertext = NULL WHERE id = $1', [erased.id]);
      return { run };
    });
    expect(await running.run).toMatchObject({ rotated: 0, unreadable: 1 });
    expect(await query('SELECT recipient_ciphertext AS was FROM alikassa_payouts WHERE id = $1', [erased.id])).toEqual([
      { was: null },
    ]);
  });
});

describe('a row that cannot be read back', () => {
  const row = (id: string): Promise<Record<string, unknown>[]> =>
    query('SELECT key_id, recipient_ciphertext, number_fingerprint FROM alikassa_payouts WHERE id = $1', [id]);
  /** Rotates; the rows were reported by name and are as they were, and every other one was rotated. */
  async function expectSkipped(ids: string[], others: number): Promise<void> {
    const was = await Promise.all(ids.map(row));
    const messages: string[] = [];
    const report = await rotate({ onUnreadable: ({ message }) => messages.push(message) });
    expect(report).toMatchObject({ rotated: others, unreadable: ids.length });
    expect(messages).toEqual(ids.map((id) => expect.stringContaining(`Payout ${id}: `) as string));
    expect(messages.join()).not.toContain(payload()['number']);
    expect(await Promise.all(ids.map(row))).toEqual(was);
  }

  it('is skipped, however it was changed, and its payout held', async () => {
    const changes = [...TAMPERINGS.map(([, set]) => set), `account = '${randomUUID()}'`].filter(
      // That key is the active one here: the rotation has no business with it.
      (set) => set !== "key_id = 'new'",
    );
    const ids: string[] = [];
    for (const set of changes) {
      const { id } = await accept();
      await unprotected(surroundings.database.pool, `UPDATE alikassa_payouts SET ${set} WHERE id = $1`, [id]);
      ids.push(id);
    }
    const swapped = [(await accept()).id, (await accept()).id];
    await unprotected(surroundings.database.pool, SWAP, swapped);
    ids.push(...swapped);
    await accept();
    await expectSkipped(ids, 1);
    for (const id of ids) {
      expect(await after.payouts.find(id)).toMatchObject({ status: 'queued', attention: ['recipient_unreadable'] });
    }
  });

  it('changes neither status nor next job of a payout that was sent, nothing of one that has ended, and a held one stays held', async () => {
    const cases: [set: string, attention: string | null][] = [
      [`status = 'wait'`, 'recipient_unreadable'],
      [`status = 'unknown', possibly_sent = true`, 'recipient_unreadable'],
      [`status = 'sending', lease_until = now()`, null],
      [`status = 'paid', settled_at = now()`, null],
      [`attention = 'conflict_amount', due_at = NULL`, 'conflict_amount recipient_unreadable'],
    ];
    const ids: string[] = [];
    for (const [set] of cases) {
      const { id } = await accept();
      const sql = `UPDATE alikassa_payouts SET key_id = 'gone', ${set} WHERE id = $1`;
      await unprotected(surroundings.database.pool, sql, [id]);
      ids.push(id);
    }
    const shown = 'SELECT status, due_at, lease_until FROM alikassa_payouts ORDER BY seq';
    const was = await query(shown);
    await expectSkipped(ids, 0);
    expect(await query(shown)).toEqual(was);
    const attention = await query('SELECT attention FROM alikassa_payouts ORDER BY seq');
    expect(attention).toEqual(cases.map(([, expected]) => ({ attention: expected })));
  });

  it('is rotated once its key is back', async () => {
    const lost = { id: 'lost', key: randomBytes(32).toString('base64') };
    const stranger = await start([lost]);
    await stranger.payouts.create(payload() as never);
    await stranger.stop();
    expect(await rotate()).toMatchObject({
      rotated: 0,
      unreadable: 1,
      left: [{ keyId: 'lost', sealed: 1, erased: 0 }],
    });
    const mended = await start([newKey, oldKey, lost]);
    expect(await mended.app.get(RecipientRotation).run()).toMatchObject({ rotated: 1, unreadable: 0, left: [] });
    await mended.stop();
  });
});
