import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tells a database that has gone back, or is another one, from the one that it was: a promoted standby, a restored backup,
 * a copy. Each change of identity begins an epoch, and each open payout says in which epoch the provider was asked about it.
 */
export class AddDatabaseEpochs1764950000000 implements MigrationInterface {
  readonly name = 'AddDatabaseEpochs1764950000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    // The timeline is read from the name of the WAL file: pg_control_checkpoint() shows it only after the first checkpoint.
    // A part that a hosted Postgres does not tell is left out.
    await queryRunner.query(`
      CREATE OR REPLACE FUNCTION alikassa_database_identity() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
      DECLARE
        cluster text := '-';
        timeline text := '-';
      BEGIN
        BEGIN
          cluster := (SELECT system_identifier FROM pg_control_system());
        EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN NULL;
        END;
        BEGIN
          timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
        EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN NULL;
        END;
        RETURN cluster || '/' || timeline || '/' || (SELECT oid FROM pg_database WHERE datname = current_database());
      END $$`);
    await queryRunner.query(`
      CREATE TABLE alikassa_database_epochs (
        id integer PRIMARY KEY,
        identity text NOT NULL,
        reason text NOT NULL,
        began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ask_until timestamptz,
        next_ask_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await queryRunner.query('ALTER TABLE alikassa_payouts ADD COLUMN epoch integer, ADD COLUMN doubted_at timestamptz');
    // The database of payouts that exist is known from here on. An empty one may yet be a template, so its first user says.
    await queryRunner.query(`
      INSERT INTO alikassa_database_epochs (id, identity, reason)
      SELECT 1, alikassa_database_identity(), 'first' WHERE EXISTS (SELECT FROM alikassa_payouts)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE alikassa_payouts DROP COLUMN doubted_at, DROP COLUMN epoch');
    await queryRunner.query('DROP TABLE alikassa_database_epochs');
    await queryRunner.query('DROP FUNCTION alikassa_database_identity');
  }
}
