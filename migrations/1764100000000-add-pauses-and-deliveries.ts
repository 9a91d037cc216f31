import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Pauses of accounts, and the calls of the host's handlers that are still owed. */
export class AddPausesAndDeliveries1764100000000 implements MigrationInterface {
  readonly name = 'AddPausesAndDeliveries1764100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE alikassa_account_pauses (
        account uuid PRIMARY KEY,
        reason text NOT NULL,
        failures integer NOT NULL DEFAULT 1,
        since timestamptz NOT NULL,
        is_probing boolean NOT NULL DEFAULT false,
        paused_until timestamptz NOT NULL
      )`);
    await queryRunner.query(`
      CREATE TABLE alikassa_deliveries (
        event_id bigint NOT NULL REFERENCES alikassa_payout_events (id),
        handler varchar(200) NOT NULL,
        attempt integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (event_id, handler)
      )`);
    await queryRunner.query('CREATE INDEX alikassa_deliveries_due_idx ON alikassa_deliveries (due_at)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE alikassa_deliveries');
    await queryRunner.query('DROP TABLE alikassa_account_pauses');
  }
}
