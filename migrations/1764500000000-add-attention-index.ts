import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Counts the payouts with attention without reading those without: final rows are nearly all there is. */
export class AddAttentionIndex1764500000000 implements MigrationInterface {
  readonly name = 'AddAttentionIndex1764500000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE INDEX alikassa_payouts_attention_idx ON alikassa_payouts (account, attention)
      WHERE attention IS NOT NULL`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX alikassa_payouts_attention_idx');
  }
}
