import { randomBytes } from 'node:crypto';
import net from 'node:net';
import request from 'supertest';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestSurroundings } from '../helpers/application.js';
import { CrashedPayout } from '../helpers/crash.js';
import { closedGate } from '../helpers/gate.js';
import { startHostProcess } from '../helpers/host.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, latch } from '../helpers/payout.checks.js';
import { decideNow } from '../helpers/people.js';
import { submissionsOf } from '../helpers/submissions.js';
import { unprotected } from '../helpers/unprotected.js';
import { until } from '../helpers/until.js';

describe('SIGTERM', () => {
  let payout: CrashedPayout;
  beforeEach(async () => (payout = await CrashedPayout.prepare()));
  afterEach(async () => payout.end());

  it('98: SIGTERM with requests in flight -> drained, none cut', async () => {
    const { held, letGo } = latch();
    const { simulator, database } = payout.surroundings;
    simulator.script({ on: 'payout', hold: held, notification: 'lost' });
    await payout.start({ timeoutMs: 60_000, leaseMs: 90_000 });
    await payout.create();
    await until(() => payout.accepted === 1);
    // And a create of a client is in the middle of its statement.
    const gate = await closedGate(database, 'TRIGGER wait_here BEFORE INSERT ON alikassa_payouts FOR EACH ROW');
    const answer = payout.create('late');
    await gate.reached();
    const draining = payout.detach();
    const ended = draining.kill('SIGTERM');
    // It fetches no more jobs, and waits for the one that is under way.
    await until(async () => {
      const sql = "SELECT 1 FROM pg_stat_activity WHERE query ~ '^LISTEN' AND datname = current_database()";
      return (await database.pool.query(sql)).rowCount === 0;
    });
    expect([(await payout.row()).status, await Promise.race([draining.ended, Promise.resolve('running')])]).toEqual([
      'sending',
      'running',
    ]);
    await gate.open();
    expect(await answer).toBe(201);
    letGo();
    await ended;
    // By the signal itself, as the host's supervisor expects of what it has ended.
    expect(await draining.ended).toBe('SIGTERM');
    expect((await payout.rows()).map(({ status }) => status)).toEqual(['wait', 'queued']);
    expect(await payout.history()).toEqual([
      'created: queued',
      'claimed: sending',
      'created: queued',
      'submission: wait',
    ]);
    expect(draining.output()).not.toMatch(/ERROR/);
    await payout.start();
    await until(async () => (await payout.rows()).every(({ status }) => status === 'paid'));
    expect(['crash', 'late'].map((orderId) => submissionsOf(simulator, orderId))).toEqual([1, 1]);
  });
});

describe('versions, keys and outages', () => {
  let surroundings: TestSurroundings;
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await surroundings.stop();
  });
  const query = async (sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> =>
    (await surroundings.database.pool.query<Record<string, unknown>>(sql, values)).rows;
  async function host(setup: Parameters<typeof startApplication>[0] = {}) {
    const node = await startApplication({ surroundings, port: surroundings.port, ...setup });
    stops.push(() => node.stop());
    return node;
  }

  /** The provider at a port of the test's choice; see `listen`. */
  async function relay(port: number, { isAnswering }: { isAnswering: boolean }) {
    const one = await listen(port, surroundings.simulator.url, { isAnswering });
    stops.push(one.close);
    return one;
  }

  it('99: an old and a new version side by side -> each does its own, neither breaks the other', async () => {
    // What a later version may do to a database that this one still works on: more columns and tables, jobs of tasks
    // and payloads that this one does not know, events of another type. It cannot show what a later one will really do.
    surroundings = await prepare();
    await query(`
      ALTER TABLE alikassa_payouts ADD COLUMN later text DEFAULT 'x';
      ALTER TABLE alikassa_payout_events ADD COLUMN later jsonb;
      CREATE TABLE alikassa_later (id int)`);
    const process = await startHostProcess({
      databaseUrl: surroundings.database.url,
      port: await freePort(),
      options: surroundings.options,
    });
    stops.push(() => process.kill('SIGTERM'));
    const node = await host({ logger: new LogLines() });
    await query("SELECT alikassa_worker.add_job('alikassa_later', '{}')");
    const { body } = await node
      .http()
      .post('/alikassa/payouts')
      .send(payload({ order_id: 'both', amount: '2.04' }));
    const { id } = await node.until((body as PayoutDto).id, 'wait');
    await query(`WITH changed AS (UPDATE alikassa_payouts SET revision = revision + 1 WHERE id = '${id}' RETURNING id)
      INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt, later)
      SELECT id, 'later', 'wait', 'wait', 1, '{}' FROM changed`);
    // What it knows more of is passed over; what names no payout as this one does moves none.
    const payloads = [`{"payoutId": "${id}", "later": true}`, `{"payout_id": "${id}"}`, '{}', `["${id}"]`, 'null'];
    for (const job of payloads) {
      for (const task of ['submit', 'check']) {
        await query(`SELECT alikassa_worker.add_job('alikassa_${task}', $1, max_attempts := 1)`, job);
      }
    }
    await surroundings.simulator.settle('both', 'paid');
    await node.until(id, 'paid');
    const shown = (await (await fetch(`${process.url}/alikassa/payouts/${id}/events`)).json()) as {
      data: { type: string }[];
    };
    expect(shown.data.map(({ type }) => type)).toContain('later');
    const left = `SELECT FROM alikassa_worker.jobs
      WHERE task_identifier ~ 'submit|check' AND (attempts < max_attempts OR locked_at IS NOT NULL)`;
    await until(async () => (await query(left)).length === 0);
    // Its task waits for a process that knows it.
    expect(await query("SELECT attempts FROM alikassa_worker.jobs WHERE task_identifier = 'alikassa_later'")).toEqual([
      { attempts: 0 },
    ]);
    expect(submissionsOf(surroundings.simulator, 'both')).toBe(1);
    // Neither is worse for it.
    for (const one of [node, { http: () => request(process.url) }]) {
      const { orderId, ...next } = await create(one, payload());
      await node.until(next.id, 'paid');
      expect(submissionsOf(surroundings.simulator, orderId)).toBe(1);
    }
  });

  it('100: key rotation with payouts in flight -> what was sealed by the old key is sent, and repeats are known', async () => {
    surroundings = await prepare();
    const { simulator } = surroundings;
    const [oldKey, newKey] = ['old', 'new'].map((id) => ({ id, key: randomBytes(32).toString('base64') }));
    const accepting = await host({
      port: await freePort(),
      options: { encryptionKeys: [oldKey!], worker: { enabled: false } },
    });
    const held = payload({ order_id: 'held' });
    const { id: heldId } = await create(accepting, held);

    // Only the new key: the payout cannot be read, so it is held, and nothing is sent.
    const blind = await startApplication({ surroundings, options: { encryptionKeys: [newKey!] } });
    await until(async () => (await accepting.payouts.find(heldId)).attention.includes('recipient_unreadable'));
    expect(simulator.requests).toEqual([]);
    await blind.stop();

    // Both keys: what is queued under the old one is sent as it was given, by itself.
    const queued = payload({ order_id: 'queued', number: '79005551234', amount: '21.00' });
    const { id: queuedId } = await create(accepting, queued);
    const rotated = await host({ options: { encryptionKeys: [newKey!, oldKey!] } });
    await rotated.until(queuedId, 'paid');
    expect(simulator.payouts.get('queued')).toMatchObject({ amount: '21.00', card_mask: '************1234' });

    // A repeat is known by its content wherever it arrives, under which key it was ever made; other content is refused.
    for (const node of [accepting, rotated]) {
      for (const [order, id] of [
        [held, heldId],
        [queued, queuedId],
      ] as const) {
        expect((await create(node, order, 200)).id).toBe(id);
        for (const other of [{ amount: '13.00' }, { number: '79005551235' }]) {
          const answer = await node
            .http()
            .post('/alikassa/payouts')
            .send({ ...order, ...other });
          expect([answer.status, (answer.body as { code: string }).code]).toEqual([409, 'order_conflict']);
        }
      }
    }
    await decideNow(rotated.payouts, heldId, { outcome: 'resubmit', reason: 'the key is back' });
    await rotated.until(heldId, 'paid');
    const fresh = await create(rotated, payload({ order_id: 'sealed-by-new' }));
    await rotated.until(fresh.id, 'paid');
    expect(await query('SELECT order_id, key_id FROM alikassa_payouts ORDER BY seq')).toEqual([
      { order_id: 'held', key_id: 'old' },
      { order_id: 'queued', key_id: 'old' },
      { order_id: 'sealed-by-new', key_id: 'new' },
    ]);
    expect(['held', 'queued', 'sealed-by-new'].map((id) => submissionsOf(simulator, id))).toEqual([1, 1, 1]);
  });

  it('102: the provider is down for 24 h -> all are unknown or queued, then all settle', async () => {
    surroundings = await prepare();
    const { simulator } = surroundings;
    simulator.script({ on: 'payout', notification: 'lost', times: 6 });
    // The provider's address: nobody listens there until it is back.
    const port = await freePort();
    const node = await host({
      options: { baseUrl: `http://127.0.0.1:${port}`, checkSchedule: [200], maxUnsentAttempts: 400 },
    });
    const ids: string[] = [];
    const createNext = async (): Promise<void> => {
      const order = payload({ order_id: `outage-${ids.length}` });
      const { body } = await node.http().post('/alikassa/payouts').send(order);
      ids.push((body as PayoutDto).id);
    };
    const count = async (condition: string) =>
      (await query(`SELECT 1 FROM alikassa_payouts WHERE ${condition}`)).length;
    // Two were accepted just before, their answers lost with the provider: that is how they look then.
    const before = await relay(port, { isAnswering: false });
    for (let i = 0; i < 2; i++) await createNext();
    await until(async () => (await count("status = 'unknown'")) === 2);
    expect(simulator.accepted('outage-0') + simulator.accepted('outage-1')).toBe(2);
    await before.close();
    for (let i = 2; i < 6; i++) await createNext();
    await until(async () => (await count('unsent_count > 0')) === 4);
    // A day passes: everything is a day older.
    await unprotected(
      surroundings.database.pool,
      `UPDATE alikassa_payouts SET created_at = created_at - interval '24 h', due_at = due_at - interval '24 h'`,
    );
    await until(async () => (await query("SELECT 1 FROM alikassa_payouts WHERE attention = 'overdue'")).length > 0);
    // Between two attempts.
    const others = "SELECT FROM alikassa_payouts WHERE status NOT IN ('queued', 'unknown')";
    await until(async () => (await query(others)).length === 0);
    await relay(port, { isAnswering: true });
    for (const id of ids) await node.until(id, 'paid');
    for (let i = 0; i < 6; i++) expect(simulator.accepted(`outage-${i}`)).toBe(1);
  });

  it('103: retries used up -> held with attention, never `fail`', async () => {
    surroundings = await prepare();
    const port = await freePort();
    const node = await host({ options: { baseUrl: `http://127.0.0.1:${port}`, maxUnsentAttempts: 2 } });
    const { body } = await node
      .http()
      .post('/alikassa/payouts')
      .send(payload({ order_id: 'used-up' }));
    const { id } = body as PayoutDto;
    await until(async () => (await node.payouts.find(id)).attention.includes('retries_used_up'));
    expect(await node.payouts.find(id)).toMatchObject({
      status: 'queued',
      attempt: 0,
      unsentCount: 2,
      possiblySent: false,
      dueAt: null,
    });
    await relay(port, { isAnswering: true });
    // A job of it that comes all the same leaves it alone, though the provider is there again.
    await query(`SELECT alikassa_worker.add_job('alikassa_submit', json_build_object('payoutId', $1::uuid))`, id);
    await until(
      async () => (await query("SELECT 1 FROM alikassa_worker.jobs WHERE task_identifier ~ 'submit'")).length === 0,
    );
    expect(surroundings.simulator.requests).toEqual([]);
    await decideNow(node.payouts, id, { outcome: 'resubmit', reason: 'the network is mended' });
    await node.until(id, 'paid');
    expect(surroundings.simulator.accepted('used-up')).toBe(1);
  });
});

/** Without answers, what the provider is asked is accepted and lost on the way back. */
async function listen(port: number, targetUrl: string, { isAnswering }: { isAnswering: boolean }) {
  const target = new URL(targetUrl);
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const provider = net.connect(Number(target.port), target.hostname);
    for (const socket of [client, provider]) sockets.add(socket.on('error', () => undefined));
    client.pipe(provider);
    if (isAnswering) provider.pipe(client);
    else provider.on('data', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
