import type { MigrationInterface, QueryRunner } from 'typeorm';

const ACCEPTED = ['id', 'seq', 'order_id', 'account', 'currency', 'amount', 'service', 'created_at'];
const OPEN = "status IN ('queued', 'sending', 'wait', 'unknown')";
const ATTENTION = 'attention IS NOT NULL';
const READABLE = 'recipient_ciphertext IS NOT NULL AND settled_at IS NOT NULL';

/** Unique constraints: table, name, columns. Each gets `instance` in front of what it had. */
const KEYS = [
  ['alikassa_payouts', 'alikassa_payouts_order_id_key', 'order_id'],
  ['alikassa_payouts', 'alikassa_payouts_seq_key', 'seq'],
  ['alikassa_notifications', 'alikassa_notifications_digest_key', 'digest'],
] as const;
/** Indexes: name, table, columns, condition. The same. */
const INDEXES = [
  ['alikassa_payouts_status_idx', 'alikassa_payouts', 'status, seq DESC', ''],
  ['alikassa_payouts_due_idx', 'alikassa_payouts', 'due_at', OPEN],
  ['alikassa_payouts_readable_idx', 'alikassa_payouts', 'settled_at', READABLE],
  ['alikassa_payouts_attention_idx', 'alikassa_payouts', 'account, attention', ATTENTION],
  ['alikassa_deliveries_due_idx', 'alikassa_deliveries', 'due_at', ''],
] as const;

/**
 * Several instances of the module on the same tables: each row says whose it is, and an order_id is unique within its
 * instance. No index more than before, since every write of a payout pays for each: those that there are begin with the
 * instance, so that one merchant's rows are not read past by another's sweep, list or overview.
 */
export class AddInstances1764600000000 implements MigrationInterface {
  readonly name = 'AddInstances1764600000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of ['alikassa_payouts', 'alikassa_deliveries', 'alikassa_notifications']) {
      await queryRunner.query(`ALTER TABLE ${table} ADD COLUMN instance varchar(32) NOT NULL DEFAULT 'default'`);
    }
    await placeKeys(queryRunner, 'instance, ');
    await protectIdentity(queryRunner, [...ACCEPTED, 'instance']);
  }

  /** Fails where two instances have the same order_id: it cannot be unique again. */
  async down(queryRunner: QueryRunner): Promise<void> {
    await protectIdentity(queryRunner, ACCEPTED);
    await placeKeys(queryRunner, '');
    for (const table of ['alikassa_notifications', 'alikassa_deliveries', 'alikassa_payouts']) {
      await queryRunner.query(`ALTER TABLE ${table} DROP COLUMN instance`);
    }
  }
}

/** @param first what each key and index begins with. */
async function placeKeys(queryRunner: QueryRunner, first: string): Promise<void> {
  for (const [table, name, columns] of KEYS) {
    await queryRunner.query(
      `ALTER TABLE ${table} DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} UNIQUE (${first}${columns})`,
    );
  }
  for (const [name, table, columns, condition] of INDEXES) {
    await queryRunner.query(`DROP INDEX ${name}`);
    const where = condition && ` WHERE ${condition}`;
    await queryRunner.query(`CREATE INDEX ${name} ON ${table} (${first}${columns})${where}`);
  }
}

async function protectIdentity(queryRunner: QueryRunner, columns: string[]): Promise<void> {
  const of = (row: string): string => `(${columns.map((column) => `${row}.${column}`).join(', ')})`;
  await queryRunner.query('DROP TRIGGER alikassa_identity ON alikassa_payouts');
  await queryRunner.query(`
    CREATE TRIGGER alikassa_identity AFTER UPDATE ON alikassa_payouts FOR EACH ROW
    WHEN (${of('OLD')} IS DISTINCT FROM ${of('NEW')})
    EXECUTE FUNCTION alikassa_refuse_change(
      'what was accepted does not change; withdraw() or resolve() the payout, then create() a new one')`);
}
