import { randomUUID } from 'node:crypto';
import type { DatabaseError } from 'pg';
import pg from 'pg';
import { PAYOUT_STATUSES, TRANSITIONS, isFinal, type PayoutStatus } from '../../src/payouts/payout.status.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { ownerOf } from '../helpers/least.privilege.js';
import { rowThatIs } from '../helpers/rows.js';

const REFUSED = '23001';
const DENIED = '42501';
const PROVIDER = ['check', 'notification'];
const TYPES = ['created', 'claimed', 'submission', 'check', 'notification', 'lease_expired', 'paused', 'fault'];
TYPES.push('withdrawal', 'person', 'later');

let database: TestDatabase;
let roles: Record<'application' | 'owner' | 'superuser', pg.Client>;

beforeAll(async () => {
  database = await createTestDatabase(undefined, true);
  const connected = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString, application_name: 'test' });
    await client.connect();
    return client;
  };
  roles = {
    application: await connected(database.url),
    owner: await connected(ownerOf(database.url)),
    superuser: await connected(database.adminUrl),
  };
});
afterAll(async () => {
  for (const client of Object.values(roles)) await client.end();
  await database.drop();
});

/** Tries it and takes it back. @returns the SQLSTATE, or the number of rows. */
async function attempted(client: pg.Client, ...statements: string[]): Promise<string | number | null> {
  await client.query('BEGIN');
  try {
    let rows: number | null = null;
    for (const sql of statements) rows = (await client.query(sql)).rowCount;
    return rows;
  } catch (error) {
    return (error as DatabaseError).code ?? String(error);
  } finally {
    await client.query('ROLLBACK');
  }
}
const asEach = async (...statements: string[]): Promise<unknown> =>
  Promise.all(Object.values(roles).map((client) => attempted(client, ...statements)));
const ALL_REFUSED = [REFUSED, REFUSED, REFUSED];
const row = (status: PayoutStatus, possiblySent?: boolean): Promise<string> =>
  rowThatIs(database.pool, status, possiblySent);

/** What the machine sets when a payout moves. */
function assignments(to: PayoutStatus): string {
  const isKnown = ['wait', 'paid', 'cancel', 'fail', 'rejected', 'unknown'].includes(to);
  return `status = '${to}', revision = revision + 1, attempt = attempt + ${to === 'sending' ? 1 : 0},
    lease_until = ${to === 'sending' ? "now() + interval '1 min'" : 'NULL'}, settled_at = ${isFinal(to) ? 'now()' : 'NULL'},
    possibly_sent = ${isKnown ? 'true' : 'possibly_sent'}`;
}
const change = (id: string, set: string): string => `UPDATE alikassa_payouts SET ${set} WHERE id = '${id}'`;
const event = (id: string, type: string, from: string, to: string, attempt = 'attempt'): string =>
  `INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt, actor)
     SELECT id, '${type}', '${from}', '${to}', ${attempt}, 'op' FROM alikassa_payouts WHERE id = '${id}'`;
/** As the module writes: both in one statement. */
const together = (set: string, id: string, type: string, from: string, { to = 'status', attempt = 'attempt' } = {}) =>
  `WITH changed AS (${change(id, set)} RETURNING *)
     INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt, actor)
     SELECT id, '${type}', '${from}', ${to}, ${attempt}, 'op' FROM changed`;

/** Types that lead from one status to another. */
function typesFor(from: PayoutStatus, to: PayoutStatus): string[] {
  if (!TRANSITIONS[from].includes(to)) return [];
  if (to === 'sending') return ['claimed'];
  if (to === 'withdrawn') return ['withdrawal'];
  if (to === 'rejected') return ['check'];
  if (to === 'wait') return ['submission', ...PROVIDER];
  if (to === 'unknown') return TYPES.filter((type) => !['created', 'claimed', 'withdrawal'].includes(type));
  if (to === 'queued') return from === 'sending' ? ['submission'] : ['check', 'person'];
  const isPersons = to !== 'cancel' && (from === 'wait' || from === 'unknown');
  return isPersons ? [...PROVIDER, 'person'] : PROVIDER;
}

describe.each(PAYOUT_STATUSES)('a payout that is %s', (from) => {
  it.each(PAYOUT_STATUSES.filter((to) => to !== from))(
    'moves to %s only as the machine does, and not without its event',
    async (to) => {
      const id = await row(from);
      expect(await asEach(change(id, assignments(to)))).toEqual(ALL_REFUSED);
      const answers: [string, unknown][] = [];
      for (const type of TYPES) {
        answers.push([type, await attempted(roles.application, together(assignments(to), id, type, from))]);
      }
      const allowed = typesFor(from, to);
      expect(answers).toEqual(TYPES.map((type) => [type, allowed.includes(type) ? 1 : REFUSED]));
    },
  );
});

describe('a move', () => {
  it.each([
    ['without a revision', 'revision = revision'],
    ['with two revisions', 'revision = revision + 2'],
    ['with a revision of before', 'revision = revision - 1'],
    ['with another attempt', 'attempt = attempt + 1'],
    ['without having been sent', 'possibly_sent = false'],
    ['with a lease', 'lease_until = now()'],
    ['of another amount', 'amount = 500'],
    ['of another number', "number_masked = '+7'"],
    ['of another account', 'account = gen_random_uuid()'],
  ])('that is otherwise lawful, %s, is refused', async (_, set) => {
    const id = await row('sending');
    const [name = ''] = set.split(' ');
    const kept = assignments('wait').replace(new RegExp(`${name} = [^,]*(,|$)`), '');
    const sql = together([kept.replace(/,\s*$/, ''), set].join(', '), id, 'submission', 'sending');
    expect(await attempted(roles.superuser, together(assignments('wait'), id, 'submission', 'sending'))).toBe(1);
    expect(await attempted(roles.superuser, sql)).toBe(REFUSED);
  });

  it.each([
    ['another status before', 'queued', {}],
    ['another status after', 'sending', { to: "'paid'" }],
    ['another attempt', 'sending', { attempt: 'attempt - 1' }],
  ])('whose event tells %s is refused', async (_, from, told) => {
    const id = await row('sending');
    expect(await asEach(together(assignments('wait'), id, 'submission', from, told))).toEqual(ALL_REFUSED);
  });

  it('of what may have been sent leads to no withdrawal, and back to the queue only by a person or the host', async () => {
    const [queued, sending, unknown] = [
      await row('queued', true),
      await row('sending', true),
      await row('unknown', true),
    ];
    expect(await asEach(together(assignments('withdrawn'), queued, 'withdrawal', 'queued'))).toEqual(ALL_REFUSED);
    expect(await asEach(together(assignments('queued'), sending, 'submission', 'sending'))).toEqual(ALL_REFUSED);
    expect(await asEach(together(assignments('queued'), unknown, 'person', 'unknown'))).toEqual([1, 1, 1]);
  });

  it.each(['possibly_sent = false', 'attempt = attempt - 1'])('takes no attempt back: %s', async (set) => {
    const id = await row('queued', true);
    const told = (one: string): string => together(`${one}, revision = revision + 1`, id, 'person', 'queued');
    expect(await asEach(told("attention = 'overdue'"))).toEqual([1, 1, 1]);
    expect(await asEach(told(set))).toEqual(ALL_REFUSED);
  });

  it("does not replace the provider's id", async () => {
    const id = await row('wait', true);
    await database.pool.query(change(id, 'provider_id = 7'));
    for (const value of ['8', 'NULL']) {
      const sql = together(`${assignments('paid')}, provider_id = ${value}`, id, 'check', 'wait');
      expect(await asEach(sql)).toEqual(ALL_REFUSED);
    }
    expect(await asEach(together(assignments('paid'), id, 'check', 'wait'))).toEqual([1, 1, 1]);
  });

  it('within savepoints is written as anywhere', async () => {
    const id = await row('sending');
    const sql = together(assignments('wait'), id, 'submission', 'sending');
    expect(await asEach('SAVEPOINT one', 'SELECT pg_current_xact_id()', 'SAVEPOINT two', sql)).toEqual([1, 1, 1]);
    expect(await asEach('SAVEPOINT one', change(id, assignments('wait')))).toEqual(ALL_REFUSED);
  });
});

describe('however it is written', () => {
  it.each<[string, (id: string) => string[]]>([
    ['ON CONFLICT DO UPDATE', (id) => [upsert(id, 'id', assignments('queued'))]],
    ['ON CONFLICT of the order', (id) => [upsert(id, 'instance, order_id', assignments('queued'))]],
    ['several rows at once', () => [`UPDATE alikassa_payouts SET ${assignments('queued')} WHERE status = 'wait'`]],
    [
      'the event in a statement of its own, afterwards',
      (id) => [change(id, assignments('paid')), event(id, 'check', 'wait', 'paid')],
    ],
    [
      'the event in a statement of its own, before',
      (id) => [event(id, 'check', 'wait', 'paid'), change(id, assignments('paid'))],
    ],
    [
      'both in a block of code',
      (id) => [`DO $$ BEGIN ${change(id, assignments('paid'))}; ${event(id, 'check', 'wait', 'paid')}; END $$`],
    ],
    [
      'with an event of another payout',
      (id) => [
        `WITH changed AS (${change(id, assignments('paid'))})
           ${event(id, 'check', 'wait', 'paid').replace(`WHERE id = '${id}'`, `WHERE id <> '${id}' LIMIT 1`)}`,
      ],
    ],
    [
      'with two events',
      (id) => [
        `${together(assignments('paid'), id, 'check', 'wait')} UNION ALL SELECT id, 'check', 'wait', status, attempt, 'op' FROM changed`,
      ],
    ],
    ['attention taken away', (id) => [change(id, 'attention = NULL, revision = revision + 1')]],
    ['the time of a refusal', (id) => [change(id, 'refused_at = now(), revision = revision + 1')]],
    ['possibly sent', (id) => [change(id, 'possibly_sent = false')]],
  ])('a change of what was accepted or settled is refused: %s', async (_, statements) => {
    const id = await row('wait', true);
    await database.pool.query(
      `WITH changed AS (${change(id, "attention = 'overdue', revision = revision + 1")} RETURNING *)
         INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt)
         SELECT id, 'check', status, status, attempt FROM changed`,
    );
    expect(await asEach(...statements(id))).toEqual(ALL_REFUSED);
  });

  it('MERGE, where Postgres has it', async () => {
    const id = await row('wait', true);
    const sql = `MERGE INTO alikassa_payouts AS payout USING (SELECT '${id}'::uuid AS id) AS given ON payout.id = given.id
      WHEN MATCHED THEN UPDATE SET ${assignments('queued')}`;
    const { rows } = await database.pool.query<{ has: boolean }>(
      "SELECT current_setting('server_version_num')::int >= 150000 AS has",
    );
    const isThere = rows[0]?.has === true;
    expect(await asEach(sql)).toEqual(isThere ? ALL_REFUSED : ['42601', '42601', '42601']);
  });

  it('a view, a rule of it, and functions with the rights of the owner', async () => {
    const id = await row('wait', true);
    await roles.owner.query(`
      CREATE VIEW shown AS SELECT * FROM alikassa_payouts;
      GRANT SELECT, UPDATE ON shown TO alikassa_app;
      CREATE FUNCTION lend(sql text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE sql; END $$`);
    expect(await asEach(change(id, assignments('queued')).replace('alikassa_payouts', 'shown'))).toEqual(ALL_REFUSED);
    expect(await asEach(`SELECT lend($sql$${change(id, assignments('queued'))}$sql$)`)).toEqual(ALL_REFUSED);
    await roles.owner.query('DROP VIEW shown; DROP FUNCTION lend');
  });

  it('a table in the place of ours', async () => {
    const id = await row('wait', true);
    for (const client of [roles.owner, roles.superuser]) {
      const shadow = 'CREATE TEMPORARY TABLE alikassa_payout_events (LIKE public.alikassa_payout_events INCLUDING ALL)';
      await database.pool.query(`GRANT TEMPORARY ON DATABASE ${await name()} TO alikassa_owner`);
      const sql = together(assignments('paid'), id, 'check', 'wait').replace(
        'alikassa_payouts',
        'public.alikassa_payouts',
      );
      expect(await attempted(client, shadow, 'SET LOCAL search_path = pg_temp, public', sql)).toBe(REFUSED);
    }
  });

  it('COPY', async () => {
    const id = await row('wait', true);
    const from = (line: string): string => `FROM PROGRAM 'printf ''${line}'''`;
    const history = `COPY alikassa_payout_events (payout_id, type, from_status, to_status, attempt)
      ${from([id, 'check', 'wait', 'paid', '1'].join(String.raw`\t`))}`;
    expect(await attempted(roles.superuser, history)).toBe(REFUSED);
    expect(await attempted(roles.application, history)).toBe(DENIED);
  });
});

const upsert = (id: string, key: string, set: string): string =>
  `INSERT INTO alikassa_payouts AS payout (id, order_id, account, currency, amount, service, number_masked, status, key_id,
     recipient_ciphertext, number_fingerprint, content_fingerprint)
   VALUES ('${id}', '${id}', '${id}', 'RUB', 5, 's', '*', 'queued', 'k', '1', '1', '1')
   ON CONFLICT (${key}) DO UPDATE SET ${set.replaceAll(/= (revision|attempt|possibly_sent)/g, '= payout.$1')}`;
const name = async (): Promise<string> =>
  String((await database.pool.query<{ name: string }>('SELECT current_database() AS name')).rows[0]?.name);

describe('a new payout', () => {
  const insert = (columns: string, values: string, type = 'created', from = 'NULL'): string =>
    `WITH made AS (
       INSERT INTO alikassa_payouts (id, order_id, account, currency, amount, service, number_masked, key_id,
         recipient_ciphertext, number_fingerprint, content_fingerprint, ${columns})
       SELECT made, made, made, 'RUB', 5, 's', '*', 'k', '1', '1', '1', ${values} FROM gen_random_uuid() AS made RETURNING *
     ) INSERT INTO alikassa_payout_events (payout_id, type, from_status, to_status, attempt)
       SELECT id, '${type}', ${from}, status, attempt FROM made`;

  it('begins as the module makes it', async () => {
    expect(await asEach(insert('status, due_at', "'queued', now()"))).toEqual([1, 1, 1]);
  });

  it('moves on in the transaction that has made it, as it does later', async () => {
    const id = randomUUID();
    const made = insert('status', "'queued'").replace('gen_random_uuid() AS made', `CAST('${id}' AS uuid) AS made`);
    const moved = together(assignments('withdrawn'), id, 'withdrawal', 'queued');
    expect(await attempted(roles.application, made, moved)).toBe(1);
    expect(await attempted(roles.application, made, change(id, assignments('withdrawn')))).toBe(REFUSED);
    expect(await attempted(roles.application, made, event(id, 'created', 'queued', 'queued'))).toBe(REFUSED);
  });

  it.each([
    ['status', "'unknown'"],
    ['status, lease_until', "'sending', now()"],
    ['status, settled_at', "'paid', now()"],
    ['status, attempt', "'queued', 1"],
    ['status, revision', "'queued', 1"],
    ['status, possibly_sent', "'queued', true"],
    ['status, provider_id', "'queued', 7"],
    ['status, payment_amount', "'queued', 7"],
    ['status, attention', "'queued', 'overdue'"],
    ['status, created_at', "'queued', now() - interval '1 day'"],
  ])('begins with nothing else: %s = %s', async (columns, values) => {
    const answers = await asEach(insert(columns, values));
    expect(answers).toEqual([expect.stringMatching(`${REFUSED}|${DENIED}`), REFUSED, REFUSED]);
  });

  it('has its first event from the same statement, which says so', async () => {
    const [alone = ''] = insert('status', "'queued'")
      .replace('WITH made AS (', '')
      .split(') INSERT INTO alikassa_payout_e');
    expect(await asEach(alone)).toEqual(ALL_REFUSED);
    expect(await asEach(insert('status', "'queued'", 'check'))).toEqual(ALL_REFUSED);
    expect(await asEach(insert('status', "'queued'", 'created', "'queued'"))).toEqual(ALL_REFUSED);
  });
});

describe('an event', () => {
  it('is not written without its change, whatever it tells', async () => {
    const id = await row('wait', true);
    for (const type of TYPES) expect(await asEach(event(id, type, 'wait', 'wait'))).toEqual(ALL_REFUSED);
    expect(await asEach(event(id, 'check', 'unknown', 'wait'))).toEqual(ALL_REFUSED);
    const touched = together('due_at = now()', id, 'check', 'unknown');
    expect(await asEach(touched)).toEqual(ALL_REFUSED);
    expect(await asEach(together('due_at = now()', id, 'check', 'wait'))).toEqual(ALL_REFUSED);
    expect(await asEach(together('revision = revision + 1', id, 'check', 'wait'))).toEqual([1, 1, 1]);
  });

  it.each([
    ['created_at', "'2020-01-01'"],
    ['written_by', "'somebody'"],
  ])("has the database's %s, whoever gives another", async (column, value) => {
    const id = await row('wait', true);
    const sql = together(assignments('paid'), id, 'check', 'wait')
      .replace('(payout_id', `(${column}, payout_id`)
      .replace('SELECT id', `SELECT ${value}, id`);
    const told = `${sql} RETURNING written_by = session_user AND created_at BETWEEN now() AND clock_timestamp() AS own`;
    expect(await attempted(roles.application, sql)).toBe(DENIED);
    for (const client of [roles.owner, roles.superuser]) {
      await client.query('BEGIN');
      const { rows } = await client.query(told);
      await client.query('ROLLBACK');
      expect(rows).toEqual([{ own: true }]);
    }
  });

  it.each(['-1', '999999'])('has the next id, not %s', async (given) => {
    const id = await row('wait', true);
    await database.pool.query(together('due_at = now(), revision = revision + 1', id, 'check', 'wait'));
    const sql = together(assignments('paid'), id, 'check', 'wait')
      .replace('(payout_id', '(id, payout_id')
      .replace('SELECT id', `OVERRIDING SYSTEM VALUE SELECT ${given}, id`);
    expect(await asEach(sql)).toEqual([DENIED, REFUSED, REFUSED]);
  });

  it.each(['NULL', "''", "'  '"])('of a decision that names nobody (%s) says so', async (actor) => {
    const id = await row('unknown', true);
    const sql = together(assignments('fail'), id, 'person', 'unknown').replace("'op'", actor);
    await roles.application.query('BEGIN');
    const { rows } = await roles.application.query(`${sql} RETURNING actor, written_by`);
    await roles.application.query('ROLLBACK');
    expect(rows).toEqual([{ actor: 'unnamed', written_by: 'alikassa_app' }]);
  });
});

describe("the application's role may not", () => {
  it.each([
    'UPDATE alikassa_payouts SET account = gen_random_uuid()',
    'UPDATE alikassa_payouts SET amount = 1',
    "UPDATE alikassa_payouts SET order_id = 'x'",
    "UPDATE alikassa_payouts SET instance = 'x'",
    "UPDATE alikassa_payouts SET number_masked = 'x'",
    'UPDATE alikassa_payouts SET created_at = now()',
    'INSERT INTO alikassa_payout_events (id) OVERRIDING SYSTEM VALUE VALUES (1)',
    'INSERT INTO alikassa_payout_events (written_by) VALUES ($$x$$)',
    'UPDATE alikassa_payout_events SET detail = $${}$$',
    'DELETE FROM alikassa_payout_events',
    'TRUNCATE alikassa_payout_events, alikassa_deliveries',
    'TRUNCATE alikassa_payouts CASCADE',
    'UPDATE alikassa_notifications SET payment_status = $$paid$$',
    'INSERT INTO alikassa_notifications (first_received_at) VALUES (now())',
    'DELETE FROM alikassa_notifications',
    'UPDATE alikassa_account_pauses SET account = gen_random_uuid()',
    'UPDATE alikassa_deliveries SET event_id = 1',
    'ALTER TABLE alikassa_payout_events DISABLE TRIGGER USER',
    'ALTER TABLE alikassa_payouts DISABLE TRIGGER alikassa_moved',
    'ALTER TABLE alikassa_payouts INHERIT alikassa_payout_events',
    'DROP TRIGGER alikassa_moved ON alikassa_payouts',
    'CREATE TRIGGER mine BEFORE UPDATE ON alikassa_payouts FOR EACH ROW EXECUTE FUNCTION alikassa_stamp_event()',
    'CREATE OR REPLACE FUNCTION alikassa_stamp_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
    'ALTER FUNCTION alikassa_check_change() SECURITY INVOKER',
    'SET session_replication_role = replica',
    'SET SESSION AUTHORIZATION alikassa_owner',
    'CREATE RULE mine AS ON INSERT TO alikassa_payout_events DO INSTEAD NOTHING',
    'COPY alikassa_payout_events (payout_id, type, to_status, attempt, id) FROM STDIN',
  ])('%s', async (sql) => {
    expect(await attempted(roles.application, sql)).toBe(DENIED);
  });

  it('be given it by the tables having been granted as a whole before', async () => {
    await roles.owner.query('GRANT SELECT, INSERT, UPDATE ON alikassa_payouts, alikassa_payout_events TO alikassa_app');
    const { guideSql } = await import('../helpers/least.privilege.js');
    await roles.owner.query(guideSql('grants'));
    expect(
      await attempted(roles.application, `UPDATE alikassa_payouts SET amount = 1 WHERE id = '${randomUUID()}'`),
    ).toBe(DENIED);
  });
});
