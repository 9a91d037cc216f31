import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What tells the bytes under a key id from others: a start with other bytes than the rows were written with is refused. */
export class AddKeys1764850000000 implements MigrationInterface {
  readonly name = 'AddKeys1764850000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE alikassa_keys (
        instance varchar(32) NOT NULL,
        key_id varchar(32) NOT NULL,
        check_value bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (instance, key_id)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE alikassa_keys');
  }
}
