import { StaleRevisionError } from '../../src/alikassa.errors.js';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { alikassaEntities } from '../../src/alikassa.module.js';
import { DatabaseEpochs } from '../../src/payouts/database.epochs.js';
import { RestoredPayouts } from '../../src/payouts/restored.payouts.js';
import { createTestDatabase } from '../helpers/database.js';
import {
  accepted,
  newPayout,
  NONE,
  startStore,
  TOKEN,
  type TestStore,
  unclear,
  unsent,
  withdrawal,
} from '../helpers/store.js';

const DAY_MS = 86_400_000;
const OPTIONS = { instance: 'default', askFirstAfterRestoreMs: DAY_MS, leaseMs: 60_000 };
const notFound = {
  type: 'check',
  outcome: { kind: 'not_found', reason: 't', phase: 'secured', durationMs: 1 },
} as const;
let test: TestStore;
let epochs: DatabaseEpochs;

beforeAll(async () => {
  test = await startStore({ rejectAfterMs: 60_000 });
});
afterAll(() => test.stop());
beforeEach(async () => {
  await test.clear();
  await test.database.pool.query(`BEGIN; SET LOCAL session_replication_role = replica;
    TRUNCATE alikassa_database_epochs, alikassa_payouts, alikassa_payout_events, alikassa_deliveries; COMMIT`);
  epochs = new DatabaseEpochs(test.dataSource, OPTIONS);
  await epochs.recognise();
});

/** The database is another one from now on, as after a promotion: the identity that was remembered is not its own. */
const becomeAnother = async (): Promise<void> =>
  void (await test.database.pool.query("UPDATE alikassa_database_epochs SET identity = 'another'"));
const known = async () => (await test.database.pool.query('SELECT id, reason FROM alikassa_database_epochs')).rows;
const timePasses = (id: string, ms: number): Promise<void> =>
  test.change(id, `not_found_since = not_found_since - ${ms} * interval '1 ms'`);

/** Takes it back as it is now. */
const withdrawn = async (id: string) => {
  const { revision } = (await test.store.read(id)).payout;
  return test.store.settle(id, { ...withdrawal, revision } as Evidence);
};

describe('the epochs of the database', () => {
  it('begin with one that doubts nothing, and stay while the database is the same', async () => {
    expect(await epochs.recognise()).toMatchObject({ id: 1, reason: 'first', isDoubting: false });
    expect(await known()).toEqual([{ id: 1, reason: 'first' }]);
    const id = await test.add();
    expect((await test.store.claim(id, TOKEN)).payout.status).toBe('sending');
  });

  it('are recognised once by all that come at the same time', async () => {
    await becomeAnother();
    const all = await Promise.all(Array.from({ length: 8 }, () => epochs.recognise()));
    expect(new Set(all.map(({ id, isDoubting }) => `${id} ${isDoubting}`))).toEqual(new Set(['2 true']));
    expect(await known()).toHaveLength(2);
  });

  it.each(['cluster', 'timeline', 'database'])('tell another %s', async (part) => {
    const index = ['cluster', 'timeline', 'database'].indexOf(part);
    const { rows } = await test.database.pool.query<{ identity: string }>(
      'SELECT alikassa_database_identity() AS identity',
    );
    const parts = rows[0]?.identity.split('/') ?? [];
    expect(parts).toEqual([expect.stringMatching(/^\d{15,}$/), '00000001', expect.stringMatching(/^\d+$/)]);
    parts[index] = '7';
    await test.database.pool.query('UPDATE alikassa_database_epochs SET identity = $1', [parts.join('/')]);
    expect(await epochs.recognise()).toMatchObject({ id: 2, reason: 'changed' });
  });

  it('give each question to the provider a turn of its own', async () => {
    const epoch = await epochs.begin();
    const lastTurn = async (): Promise<number> => {
      const sql = 'SELECT extract(epoch FROM next_ask_at) * 1000 AS ms FROM alikassa_database_epochs WHERE id = $1';
      return Number((await test.database.pool.query<{ ms: string }>(sql, [epoch.id])).rows[0]?.ms);
    };
    // Far ahead, so that no time that passes here has a part in it.
    await epochs.turns(epoch, 10_000);
    const before = await lastTurn();
    const turns = await epochs.turns(epoch, 3);
    expect([turns[1]! - turns[0]!, turns[2]! - turns[1]!]).toEqual([50, 50]);
    expect(Math.round((await lastTurn()) - before)).toBe(150);
    const [next] = await epochs.turns(epoch, 1);
    expect(next).toBeGreaterThan(400_000);
  });
});

it('an application whose role may not use the table of the epochs says so at its start', async () => {
  const database = await createTestDatabase(undefined, true);
  await database.pool.query('REVOKE ALL ON alikassa_database_epochs FROM alikassa_app');
  const settings = { type: 'postgres', url: database.url, entities: alikassaEntities } as const;
  const dataSource = await new DataSource(settings).initialize();
  await expect(new DatabaseEpochs(dataSource, OPTIONS).open()).rejects.toThrow('migrate as the owner and grant it');
  await database.pool.query('GRANT SELECT, INSERT, UPDATE ON alikassa_database_epochs TO alikassa_app');
  expect(await new DatabaseEpochs(dataSource, OPTIONS).open()).toMatchObject({ id: 1, reason: 'first' });
  await dataSource.destroy();
  await database.drop();
});

describe('a payout from before the database changed', () => {
  it.each([
    ['claim', (id: string) => test.store.claim(id, TOKEN)],
    ['withdrawal', (id: string) => test.store.settle(id, withdrawal)],
  ])('refuses its first %s, in the statement itself, and is asked about', async (_, act) => {
    const id = await test.add();
    const before = await test.store.read(id);
    await becomeAnother();
    await expect(act(id)).rejects.toThrow(/is unknown|is at revision 1 now/);
    expect(await test.row(id)).toMatchObject({ status: 'unknown', possibly_sent: false, attempt: 0, epoch: 2 });
    expect(await test.jobKeys()).toContain(`alikassa_check:${id}`);
    // Who has read it before the change claims by what was read.
    await expect(test.store.claim(id, TOKEN, before)).rejects.toThrow('is unknown');
  });

  it('is queued again when "not found" is confirmed, and then is sent', async () => {
    const id = await test.add();
    await becomeAnother();
    await expect(test.store.claim(id, TOKEN)).rejects.toThrow('is unknown');
    await test.store.settle(id, notFound);
    await test.store.settle(id, notFound);
    expect(await test.row(id)).toMatchObject({ status: 'unknown', not_found_count: 2 });
    await timePasses(id, 60_000);
    await test.store.settle(id, notFound);
    expect(await test.row(id)).toMatchObject({ status: 'queued', doubted_at: null, possibly_sent: false });
    expect((await test.store.claim(id, TOKEN)).payout).toMatchObject({ status: 'sending', attempt: 1 });
  });

  it('may be withdrawn when "not found" is confirmed, and not before', async () => {
    const id = await test.add();
    await becomeAnother();
    await expect(withdrawn(id)).rejects.toThrow(StaleRevisionError);
    await expect(withdrawn(id)).rejects.toThrow('since the database went back');
    await test.store.settle(id, notFound);
    await expect(withdrawn(id)).rejects.toThrow('since the database went back');
    await timePasses(id, 60_000);
    await test.store.settle(id, notFound);
    expect((await withdrawn(id)).payout.status).toBe('withdrawn');
  });

  it('is asked about anew by the next change, whatever was confirmed', async () => {
    const id = await test.add();
    await becomeAnother();
    await expect(test.store.claim(id, TOKEN)).rejects.toThrow('is unknown');
    await test.store.settle(id, notFound);
    await timePasses(id, 60_000);
    await test.store.settle(id, notFound);
    await epochs.begin();
    await expect(test.store.claim(id, TOKEN)).rejects.toThrow('is unknown');
    expect(await test.row(id)).toMatchObject({ epoch: 3, not_found_count: 0, not_found_since: null });
  });

  it('is not rejected by a "not found" from before', async () => {
    const id = await test.add();
    await test.store.claim(id, TOKEN);
    const refusal = {
      kind: 'refused',
      message: 'm',
      errors: {},
      reason: 't',
      phase: 'secured',
      durationMs: 1,
    } as const;
    await test.store.settle(id, { type: 'submission', attempt: 1, token: TOKEN, outcome: refusal });
    await test.store.settle(id, notFound);
    await timePasses(id, 120_000);
    await becomeAnother();
    await test.store.settle(id, notFound);
    expect(await test.row(id)).toMatchObject({ status: 'unknown', epoch: 2 });
    await test.store.settle(id, notFound);
    await timePasses(id, 60_000);
    expect((await test.store.settle(id, notFound)).payout.status).toBe('rejected');
  });

  it('is doubted before a person fails it: the revision that the person has seen is over', async () => {
    const id = await test.add();
    await test.store.claim(id, TOKEN);
    await test.store.settle(id, unclear);
    await becomeAnother();
    const decided = { decision: randomUUID(), revision: 2 };
    const fail = { type: 'person', ...decided, outcome: 'fail', reason: 'support', actor: 'op' } as const;
    await expect(test.store.settle(id, fail)).rejects.toThrow(StaleRevisionError);
    const history = (await test.events(id)).map(({ type }) => type);
    expect(history).toEqual(['created', 'claimed', 'submission', 'restored']);
  });

  it('is new, and asked about first, while its order may have been sent by a payout that was lost', async () => {
    await becomeAnother();
    await epochs.recognise();
    const id = await test.add();
    await expect(test.store.claim(id, TOKEN)).rejects.toThrow('is unknown');
    await test.database.pool.query('UPDATE alikassa_database_epochs SET ask_until = clock_timestamp()');
    const late = await test.add();
    expect((await test.store.claim(late, TOKEN)).payout.status).toBe('sending');
  });
});

describe('the open payouts of a database that changed', () => {
  it('are all asked about: queued, held, sending without a lease of ours, wait and unknown; final ones are not', async () => {
    const [queued, held, waiting, unknown, ours, strange, over, final] = (await Promise.all(
      Array.from({ length: 8 }, () => test.add()),
    )) as [string, string, string, string, string, string, string, string];
    for (const id of [waiting, unknown, ours, strange, over]) await test.store.claim(id, TOKEN);
    await test.store.settle(waiting, accepted);
    await test.store.settle(unknown, unclear);
    await test.store.settle(held, { type: 'fault', attention: 'recipient_unreadable' });
    await test.change(strange, "lease_until = now() + interval '1 day'");
    await test.change(over, "lease_until = now() - interval '1 s'");
    await test.store.settle(final, withdrawal);
    await test.database.pool.query('TRUNCATE alikassa_worker._private_jobs');
    await becomeAnother();
    expect(await new RestoredPayouts(test.store, epochs, OPTIONS).bring()).toBe(6);
    expect(await new RestoredPayouts(test.store, epochs, OPTIONS).bring()).toBe(0);
    const states = await Promise.all(
      [queued, held, waiting, unknown, ours, strange, over, final].map((id) => test.row(id)),
    );
    expect(states.map(({ status, possibly_sent, epoch }) => [status, possibly_sent, epoch])).toEqual([
      ['unknown', false, 2],
      ['unknown', false, 2],
      ['wait', true, 2],
      ['unknown', true, 2],
      ['sending', false, null],
      ['unknown', true, 2],
      ['unknown', true, 2],
      ['withdrawn', false, null],
    ]);
    const asked = [queued, held, waiting, unknown, strange, over].map((id) => `alikassa_check:${id}`);
    expect(await test.jobKeys()).toEqual(asked.toSorted());
    // A held one is queued again, and held still.
    await test.store.settle(held, notFound);
    await timePasses(held, 60_000);
    await test.store.settle(held, notFound);
    expect(await test.row(held)).toMatchObject({ status: 'queued', attention: 'recipient_unreadable', due_at: null });
  });

  it('come in portions, and those of another instance not at all', async () => {
    await Promise.all(Array.from({ length: 501 }, () => test.add()));
    await becomeAnother();
    const other = { ...OPTIONS, instance: 'other' };
    expect(await new RestoredPayouts(test.store, new DatabaseEpochs(test.dataSource, other), other).bring()).toBe(0);
    const restored = new RestoredPayouts(test.store, epochs, OPTIONS);
    expect([await restored.bring(), await restored.bring(), await restored.bring()]).toEqual([500, 1, 0]);
  });
});

describe('an attempt that the database does not know', () => {
  /** Claimed, and then the database goes back to before that, though its identity stays. */
  async function lost(): Promise<{ id: string; claimed: Awaited<ReturnType<typeof test.store.claim>> }> {
    const id = randomUUID();
    const { pool } = test.database;
    // A window that is over: what is new is not asked about first.
    await pool.query("UPDATE alikassa_database_epochs SET ask_until = '-infinity'");
    await test.intake.insert(newPayout({ id }), undefined, test.dataSource.manager);
    const claimed = await test.store.claim(id, TOKEN);
    await pool.query(`BEGIN; SET LOCAL session_replication_role = replica;
      UPDATE alikassa_payouts SET status = 'queued', attempt = 0, revision = 0, lease_until = NULL WHERE id = '${id}';
      UPDATE alikassa_database_epochs SET began_at = began_at - interval '1 h'; COMMIT`);
    return { id, claimed };
  }

  it('begins an epoch, and its payout is taken to be sent unless that was proven false', async () => {
    const one = await lost();
    await test.store.settle(one.id, unclear, { known: one.claimed.known });
    expect(await test.row(one.id)).toMatchObject({ status: 'unknown', possibly_sent: true, doubted_at: null });
    const two = await lost();
    await test.store.settle(two.id, unsent, { known: two.claimed.known });
    expect(await test.row(two.id)).toMatchObject({ status: 'unknown', possibly_sent: false });
    expect((await known()).at(-1)).toEqual({ id: 3, reason: 'evidence' });
  });

  it('begins one epoch, however many of them there are', async () => {
    const [one, two] = [await lost(), await lost()];
    await test.store.settle(one.id, unclear, { known: one.claimed.known });
    await test.store.settle(two.id, unclear, { known: two.claimed.known });
    expect(await known()).toHaveLength(2);
  });

  it('is not taken for another attempt of the same number', async () => {
    const { id, claimed } = await lost();
    const again = await test.store.claim(id, NONE);
    await test.change(id, `lease_until = lease_until - interval '1 s', revision = revision + 1`);
    await test.store.settle(id, unsent, { known: claimed.known });
    expect(await test.row(id)).toMatchObject({ status: 'sending', attempt: again.payout.attempt });
    await test.store.settle(id, unclear, { known: claimed.known });
    expect(await test.row(id)).toMatchObject({ status: 'sending', possibly_sent: true });
  });

  it('of a payout that is gone begins an epoch too', async () => {
    await expect(test.store.settle(NONE, unclear)).rejects.toThrow('There is no payout');
    expect((await known()).at(-1)).toMatchObject({ reason: 'first' });
    await test.database.pool.query("UPDATE alikassa_database_epochs SET began_at = began_at - interval '1 h'");
    await expect(test.store.settle(NONE, unclear)).rejects.toThrow('There is no payout');
    expect((await known()).at(-1)).toMatchObject({ reason: 'evidence' });
  });
});
