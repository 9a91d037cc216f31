import type { MigrationInterface, QueryRunner } from 'typeorm';

const ACCEPTED_BEFORE = ['id', 'seq', 'order_id', 'account', 'currency', 'amount', 'service', 'created_at', 'instance'];
/** Columns that neither key rotation nor erasure changes, nor anything else. */
const ACCEPTED = [...ACCEPTED_BEFORE, 'number_masked'];
/** Columns whose change is a line of the history. */
const TOLD = ['status', 'attention', 'attempt', 'possibly_sent', 'refused_at'];
const SEALED = ['key_id', 'number_fingerprint', 'content_fingerprint', 'recipient_ciphertext'];

type Rule = [reason: string, wrong: string];

/** Statuses that may follow. */
const MOVES = `CASE before.status
        WHEN 'queued' THEN after.status IN ('sending', 'withdrawn', 'unknown', 'wait', 'paid', 'cancel', 'fail')
        WHEN 'sending' THEN after.status IN ('queued', 'wait', 'unknown', 'paid', 'cancel', 'fail')
        WHEN 'wait' THEN after.status IN ('paid', 'cancel', 'fail')
        WHEN 'unknown' THEN after.status IN ('queued', 'wait', 'paid', 'cancel', 'fail', 'rejected')
        ELSE false END`;
/** Types of the event that lead there. A later version's type is none of these: it may call a person, or hold the payout. */
const EVIDENCE = `CASE
          WHEN before.status = after.status OR after.status = 'unknown'
            THEN line.type NOT IN ('created', 'claimed', 'withdrawal')
          WHEN after.status = 'sending' THEN line.type = 'claimed'
          WHEN after.status = 'withdrawn' THEN line.type = 'withdrawal'
          WHEN after.status = 'rejected' THEN line.type = 'check'
          WHEN after.status = 'wait' THEN line.type IN ('submission', 'check', 'notification')
          WHEN after.status = 'queued' AND before.status = 'sending' THEN line.type = 'submission'
          WHEN after.status = 'queued' THEN line.type IN ('check', 'person')
          WHEN line.type = 'person' THEN before.status IN ('wait', 'unknown') AND after.status <> 'cancel'
          ELSE line.type IN ('check', 'notification') END`;

/** Whether the columns stay as they are, null or not. */
function same(columns: string[]): string {
  const row = (name: string): string => `ROW(${columns.map((column) => `${name}.${column}`).join(', ')})`;
  return `record_image_eq(${row('before')}, ${row('after')})`;
}

/**
 * What holds of a payout and the newest line of its history. Rows that were written together have the same transaction and
 * the same command; that holds within savepoints too.
 */
function latest(id: string, condition: string): string {
  return `(SELECT ${condition}
            FROM @payouts AS payout LEFT JOIN LATERAL (
              SELECT xmin, cmin, id, type, from_status FROM @events WHERE payout_id = payout.id ORDER BY id DESC LIMIT 1
            ) AS line ON true WHERE payout.id = ${id})`;
}
const TOGETHER = 'line.xmin = payout.xmin AND line.cmin = payout.cmin';

/** Why an update is refused, and when. */
const CHANGES: Rule[] = [
  [
    'what was accepted does not change; withdraw() or resolve() the payout, then create() a new one',
    `NOT ${same(ACCEPTED)}`,
  ],
  [
    'a recipient is erased after the end, or brought under another key as a whole; alikassa keys rotate does so',
    `NOT ${same(SEALED)} AND NOT CASE
            WHEN after.recipient_ciphertext IS NULL THEN after.settled_at IS NOT NULL AND ${same(SEALED.slice(0, -1))}
            ELSE before.key_id <> after.key_id AND before.recipient_ciphertext <> after.recipient_ciphertext END`,
  ],
  ['no such move; resolve() the payout', `before.status <> after.status AND NOT ${MOVES}`],
  [
    'an attempt cannot be taken back; resolve() the payout instead',
    'before.possibly_sent AND NOT after.possibly_sent OR after.attempt < before.attempt',
  ],
  [
    'an attempt begins as queued -> sending, one after the other',
    "after.attempt <> before.attempt + (before.status = 'queued' AND after.status = 'sending')::int",
  ],
  [
    'it may have been sent; resolve() the payout',
    `after.possibly_sent AND (after.status = 'withdrawn' OR before.status = 'sending' AND after.status = 'queued')
            AND before.status <> after.status`,
  ],
  [
    'what the provider knows was sent; possibly_sent says so',
    `NOT after.possibly_sent AND after.status IN ('wait', 'paid', 'cancel', 'fail', 'rejected')
            AND before.status <> after.status`,
  ],
  [
    "the provider''s id stays; another one is a conflict",
    'before.provider_id IS NOT NULL AND before.provider_id IS DISTINCT FROM after.provider_id',
  ],
  [
    'only an attempt has a lease',
    "after.lease_until IS DISTINCT FROM before.lease_until AND after.lease_until IS NOT NULL AND after.status <> 'sending'",
  ],
  [
    'the revision rises by one with each change',
    `after.revision - before.revision NOT IN (0, 1) OR after.revision = before.revision AND NOT ${same(TOLD)}`,
  ],
  [
    'a change is written by one statement together with its event, which says the same; settle() does so',
    `NOT ${latest('after.id', `CASE WHEN ${TOGETHER} THEN after.revision > before.revision AND line.from_status = before.status AND ${EVIDENCE} ELSE ${same(TOLD)} END`)}`,
  ],
];

/**
 * The database refuses, to everybody, what the machine would not do: moves outside its table, attempts out of turn, a change
 * without its event and an event without its change.
 *
 * Each table has one trigger for a whole statement: its plan is kept, while Postgres reads the condition of a row's trigger
 * anew in every statement. AFTER triggers see everything that the statement has written, in all of its parts. Rows that were
 * written together have the same transaction and the same command, \`xmin\` and \`cmin\`; that holds within savepoints too.
 */
export class RefuseWhatNoMachineDoes1764900000000 implements MigrationInterface {
  readonly name = 'RefuseWhatNoMachineDoes1764900000000';

  /** In the order in which the module's statements lock the tables: neither waits for the other in a circle. */
  async up(queryRunner: QueryRunner): Promise<void> {
    const has = await eventColumns(queryRunner);
    await this.createChecks(queryRunner, has('revision'));
    await queryRunner.query('DROP TRIGGER alikassa_identity ON alikassa_payouts');
    await queryRunner.query('DROP TRIGGER alikassa_sent ON alikassa_payouts');
    await queryRunner.query(`
      CREATE TRIGGER alikassa_began AFTER INSERT ON alikassa_payouts REFERENCING NEW TABLE AS after
      FOR EACH STATEMENT EXECUTE FUNCTION alikassa_check_beginning()`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_moved AFTER UPDATE ON alikassa_payouts REFERENCING OLD TABLE AS before NEW TABLE AS after
      FOR EACH STATEMENT EXECUTE FUNCTION alikassa_check_change()`);
    // Null: written before this migration. A default in the same step would give the owner's name to all of them.
    await queryRunner.query('ALTER TABLE alikassa_payout_events ADD COLUMN written_by text');
    await queryRunner.query('ALTER TABLE alikassa_payout_events ALTER COLUMN written_by SET DEFAULT session_user');
    // It runs with the writer's rights and search path: names are full, operators too.
    await queryRunner.query(`
      CREATE OR REPLACE FUNCTION alikassa_stamp_event() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.created_at := pg_catalog.clock_timestamp();
        NEW.written_by := session_user;
        ${has('key') ? 'NEW.key := pg_catalog.gen_random_uuid();' : ''}
        IF NEW.type OPERATOR(pg_catalog.=) ANY ('{person,withdrawal}')
          AND pg_catalog.btrim(coalesce(NEW.actor, '')) OPERATOR(pg_catalog.=) '' THEN
          NEW.actor := 'unnamed';
        END IF;
        RETURN NEW;
      END $$`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_stamp BEFORE INSERT ON alikassa_payout_events FOR EACH ROW
      EXECUTE FUNCTION alikassa_stamp_event()`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_told AFTER INSERT ON alikassa_payout_events REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION alikassa_check_event()`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const accepted = (name: string): string => `(${ACCEPTED_BEFORE.map((column) => `${name}.${column}`).join(', ')})`;
    await queryRunner.query(`
      CREATE TRIGGER alikassa_identity AFTER UPDATE ON alikassa_payouts FOR EACH ROW
      WHEN (${accepted('OLD')} IS DISTINCT FROM ${accepted('NEW')})
      EXECUTE FUNCTION alikassa_refuse_change(
        'what was accepted does not change; withdraw() or resolve() the payout, then create() a new one')`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_sent AFTER UPDATE ON alikassa_payouts FOR EACH ROW
      WHEN (OLD.possibly_sent AND NOT NEW.possibly_sent OR NEW.attempt < OLD.attempt)
      EXECUTE FUNCTION alikassa_refuse_change('an attempt cannot be taken back; resolve() the payout instead')`);
    // Their triggers go with them.
    for (const name of ['check_beginning', 'check_change', 'check_event', 'stamp_event']) {
      await queryRunner.query(`DROP FUNCTION alikassa_${name} CASCADE`);
    }
    await queryRunner.query('ALTER TABLE alikassa_payout_events DROP COLUMN written_by');
  }

  private async createChecks(queryRunner: QueryRunner, hasRevision: boolean): Promise<void> {
    await createCheck(queryRunner, 'alikassa_check_beginning', {
      rows: 'after',
      of: 'id, status',
      rules: [
        [
          'a payout begins as queued, now, and with nothing known of it; create() makes one',
          `(status, attempt, revision, possibly_sent, created_at) IS DISTINCT FROM ('queued', 0, 0, false, now())
            OR num_nonnulls(lease_until, provider_id, payment_amount, commission_amount, is_partial_payment, attention,
              refused_at, not_found_since, settled_at) > 0
            OR unsent_count + not_found_count + check_count <> 0 OR recipient_ciphertext IS NULL`,
        ],
        [
          'its first event is written by the same statement; create() does so',
          `NOT ${latest('after.id', `${TOGETHER} AND line.type = 'created' AND line.from_status IS NULL`)}`,
        ],
      ],
    });
    await createCheck(queryRunner, 'alikassa_check_change', {
      rows: 'after LEFT JOIN before USING (id)',
      of: "id, before.status || ' -> ' || after.status",
      rules: CHANGES,
    });
    await createCheck(queryRunner, 'alikassa_check_event', {
      rows: 'added',
      of: 'payout_id, type',
      rules: [
        ['the database gives ids', 'added.id > pg_sequence_last_value(@sequence)'],
        [
          'an event is written by the statement that changes its payout, and says what that does',
          `NOT ${latest(
            'added.payout_id',
            `${TOGETHER} AND line.id = added.id AND payout.status = added.to_status AND payout.attempt = added.attempt
              ${hasRevision ? 'AND coalesce(added.revision, payout.revision) = payout.revision' : ''}`,
          )}`,
        ],
      ],
    });
  }
}

/** Which columns the events have: later ones are checked where they are there. */
async function eventColumns(queryRunner: QueryRunner): Promise<(name: string) => boolean> {
  const rows = (await queryRunner.query(`
    SELECT attname AS name FROM pg_attribute WHERE attrelid = 'alikassa_payout_events'::regclass AND NOT attisdropped
  `)) as { name: string }[];
  return (name) => rows.some((row) => row.name === name);
}

interface Check {
  /** Tables that hold the rows, the transition tables of a trigger among them. */
  rows: string;
  /** SQL of the operation, the payout's id and what the message says beside it. */
  of: string;
  rules: Rule[];
}

/**
 * A function that refuses a statement for the first of its rows that breaks a rule. It reads with the owner's rights, so
 * that it sees what the writer may not, and by full names, so that no other table takes the place of ours.
 */
async function createCheck(queryRunner: QueryRunner, name: string, check: Check): Promise<void> {
  const { rows, of, rules } = check;
  const broken = rules.map(([, wrong]) => `(${wrong}) IS NOT FALSE`).join('\n          OR ');
  const reasons = rules.map(([reason, wrong]) => `WHEN (${wrong}) IS NOT FALSE THEN '${reason}'`).join('\n          ');
  await queryRunner.query(`
    DO $do$ BEGIN
      EXECUTE replace(replace(replace($sql$
      CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql
      SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
      DECLARE
        refused text;
      BEGIN
        PERFORM FROM ${rows} WHERE ${broken};
        IF FOUND THEN
          SELECT format('%s of %s (%s, %s) is refused: %s', TG_OP, TG_TABLE_NAME, ${of}, CASE
          ${reasons} END) INTO refused FROM ${rows} WHERE ${broken} LIMIT 1;
          RAISE EXCEPTION USING ERRCODE = 'restrict_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
            MESSAGE = refused;
        END IF;
        RETURN NULL;
      END $$ $sql$,
      '@payouts', (SELECT format('%s.%I', relnamespace::regnamespace, relname) FROM pg_class
        WHERE oid = 'alikassa_payouts'::regclass)),
      '@events', (SELECT format('%s.%I', relnamespace::regnamespace, relname) FROM pg_class
        WHERE oid = 'alikassa_payout_events'::regclass)),
      '@sequence', quote_literal(pg_get_serial_sequence('alikassa_payout_events', 'id')));
    END $do$`);
  await queryRunner.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
}
