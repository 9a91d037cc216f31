import type { MigrationInterface, QueryRunner } from 'typeorm';

const OPEN = "status IN ('queued', 'sending', 'wait', 'unknown')";

/** Columns that may change on a final payout: alarms, further questions about it, and its encryption. */
const OPEN_COLUMNS = [
  'attention',
  'heard',
  'check_count',
  'revision',
  'updated_at',
  'due_at',
  'key_id',
  'recipient_ciphertext',
  'number_fingerprint',
  'content_fingerprint',
];
const OPEN_COLUMNS_BEFORE = OPEN_COLUMNS.filter((column) => column !== 'heard' && column !== 'check_count');

/**
 * Attempts are known by a token, people decide on a revision, and what the provider has said of a payout is kept. Every
 * column has a default or may be null: the version before goes on writing these tables.
 */
export class KeepWhatWasHeard1764800000000 implements MigrationInterface {
  readonly name = 'KeepWhatWasHeard1764800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE alikassa_payouts
        ADD COLUMN attempt_token uuid,
        ADD COLUMN unsent_total integer NOT NULL DEFAULT 0,
        ADD COLUMN heard jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN ended_by text CHECK (ended_by IN ('provider', 'confirmed_absence', 'person', 'withdrawal'))`);
    await queryRunner.query(
      `UPDATE alikassa_payouts SET unsent_total = unsent_count WHERE ${OPEN} AND unsent_count > 0`,
    );
    // Instances may pay through providers of their own, whose ids may meet; an account is at one of them.
    await queryRunner.query(`
      CREATE UNIQUE INDEX alikassa_payouts_provider_id_key ON alikassa_payouts (provider_id, account)
      WHERE provider_id IS NOT NULL`);
    // Few final payouts are asked about for some days yet: the others cost this index nothing.
    await queryRunner.query(`
      CREATE INDEX alikassa_payouts_follow_up_idx ON alikassa_payouts (instance, due_at)
      WHERE settled_at IS NOT NULL AND due_at IS NOT NULL`);
    // Added without a default: one would write every row of the history anew.
    await queryRunner.query(`
      ALTER TABLE alikassa_payout_events ADD COLUMN revision integer, ADD COLUMN key uuid, ADD COLUMN decision uuid`);
    await queryRunner.query('ALTER TABLE alikassa_payout_events ALTER COLUMN key SET DEFAULT gen_random_uuid()');
    await queryRunner.query(`
      CREATE UNIQUE INDEX alikassa_payout_events_decision_key ON alikassa_payout_events (payout_id, decision)
      WHERE decision IS NOT NULL`);
    await keepFinal(queryRunner, OPEN_COLUMNS);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await keepFinal(queryRunner, OPEN_COLUMNS_BEFORE);
    await queryRunner.query('DROP INDEX alikassa_payout_events_decision_key');
    await queryRunner.query(
      'ALTER TABLE alikassa_payout_events DROP COLUMN revision, DROP COLUMN key, DROP COLUMN decision',
    );
    await queryRunner.query('DROP INDEX alikassa_payouts_follow_up_idx');
    await queryRunner.query('DROP INDEX alikassa_payouts_provider_id_key');
    await queryRunner.query(`
      ALTER TABLE alikassa_payouts
        DROP COLUMN attempt_token, DROP COLUMN unsent_total, DROP COLUMN heard, DROP COLUMN ended_by`);
  }
}

/** @param columns that a final payout may change; a column of a later migration is protected too, unless it is named. */
async function keepFinal(queryRunner: QueryRunner, columns: readonly string[]): Promise<void> {
  await queryRunner.query(`
    CREATE OR REPLACE FUNCTION alikassa_keep_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    DECLARE
      allowed record := OLD;
    BEGIN
      ${columns.map((column) => `allowed.${column} := NEW.${column};`).join('\n      ')}
      IF NEW IS DISTINCT FROM allowed THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
          MESSAGE = 'UPDATE of ' || TG_TABLE_NAME || ' (' || OLD.id || ', ' || OLD.status || ') is refused: '
            'a final payout does not change; resolve() closes its alarms, create() makes a new one';
      END IF;
      RETURN NULL;
    END $$`);
}
