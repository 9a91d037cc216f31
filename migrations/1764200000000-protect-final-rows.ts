import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a person may still do to a final payout, and what key rotation and erasure do to its recipient. */
const OPEN_COLUMNS = [
  'attention',
  'revision',
  'updated_at',
  'due_at',
  'key_id',
  'recipient_ciphertext',
  'number_fingerprint',
  'content_fingerprint',
];

/**
 * The database itself refuses to rewrite what was paid: a bug, or a stray query of the host's, fails with SQLSTATE 23001.
 * AFTER triggers: a BEFORE one locks every row before its update, which costs a WAL record, and does not see what another
 * BEFORE trigger makes of the row. Rows that are open cost no call: WHEN decides.
 */
export class ProtectFinalRows1764200000000 implements MigrationInterface {
  readonly name = 'ProtectFinalRows1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE OR REPLACE FUNCTION alikassa_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      DECLARE
        change text := TG_OP || ' of ' || TG_TABLE_NAME;
      BEGIN
        IF TG_LEVEL = 'ROW' THEN
          change := change || ' (' || OLD.id || ', ' || OLD.status || ')';
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
          MESSAGE = change || ' is refused: ' || TG_ARGV[0];
      END $$`);
    // A column of a later migration is protected too, unless it is named here.
    await queryRunner.query(`
      CREATE OR REPLACE FUNCTION alikassa_keep_final() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      DECLARE
        allowed record := OLD;
      BEGIN
        ${OPEN_COLUMNS.map((column) => `allowed.${column} := NEW.${column};`).join('\n        ')}
        IF NEW IS DISTINCT FROM allowed THEN
          RAISE EXCEPTION USING ERRCODE = 'restrict_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
            MESSAGE = 'UPDATE of ' || TG_TABLE_NAME || ' (' || OLD.id || ', ' || OLD.status || ') is refused: '
              'a final payout does not change; resolve() acknowledges what contradicts it, create() makes a new one';
        END IF;
        RETURN NULL;
      END $$`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_final AFTER UPDATE ON alikassa_payouts FOR EACH ROW
      WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION alikassa_keep_final()`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_identity AFTER UPDATE ON alikassa_payouts FOR EACH ROW
      WHEN ((OLD.id, OLD.seq, OLD.order_id, OLD.account, OLD.currency, OLD.amount, OLD.service, OLD.created_at)
        IS DISTINCT FROM
        (NEW.id, NEW.seq, NEW.order_id, NEW.account, NEW.currency, NEW.amount, NEW.service, NEW.created_at))
      EXECUTE FUNCTION alikassa_refuse_change(
        'what was accepted does not change; withdraw() or resolve() the payout, then create() a new one')`);
    await queryRunner.query(`
      CREATE TRIGGER alikassa_sent AFTER UPDATE ON alikassa_payouts FOR EACH ROW
      WHEN (OLD.possibly_sent AND NOT NEW.possibly_sent OR NEW.attempt < OLD.attempt)
      EXECUTE FUNCTION alikassa_refuse_change('an attempt cannot be taken back; resolve() the payout instead')`);
    for (const [table, operations] of [
      ['alikassa_payouts', 'DELETE OR TRUNCATE'],
      ['alikassa_payout_events', 'UPDATE OR DELETE OR TRUNCATE'],
    ]) {
      await queryRunner.query(`
        CREATE TRIGGER alikassa_kept BEFORE ${operations} ON ${table} FOR EACH STATEMENT
        EXECUTE FUNCTION alikassa_refuse_change('it is kept as it is; docs/DATABASE.md says how to purge old rows')`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TRIGGER alikassa_kept ON alikassa_payout_events');
    for (const trigger of ['alikassa_kept', 'alikassa_sent', 'alikassa_identity', 'alikassa_final']) {
      await queryRunner.query(`DROP TRIGGER ${trigger} ON alikassa_payouts`);
    }
    await queryRunner.query('DROP FUNCTION alikassa_keep_final');
    await queryRunner.query('DROP FUNCTION alikassa_refuse_change');
  }
}
