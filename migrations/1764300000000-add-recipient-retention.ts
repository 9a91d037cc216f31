import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the finished payouts whose recipient is still readable: with a retention, no more than its days bring. */
export class AddRecipientRetention1764300000000 implements MigrationInterface {
  readonly name = 'AddRecipientRetention1764300000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    // settled_at is set on final payouts and on no others: the table's CHECK says so.
    await queryRunner.query(`
      CREATE INDEX alikassa_payouts_readable_idx ON alikassa_payouts (settled_at)
      WHERE recipient_ciphertext IS NOT NULL AND settled_at IS NOT NULL`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX alikassa_payouts_readable_idx');
  }
}
