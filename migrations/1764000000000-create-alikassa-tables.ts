import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Payouts, their history and the notification inbox. */
export class CreateAlikassaTables1764000000000 implements MigrationInterface {
  readonly name = 'CreateAlikassaTables1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE alikassa_payouts (
        id uuid PRIMARY KEY,
        seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT alikassa_payouts_seq_key UNIQUE,
        order_id varchar(128) NOT NULL CONSTRAINT alikassa_payouts_order_id_key UNIQUE,
        account uuid NOT NULL,
        currency char(3) NOT NULL,
        amount numeric(11, 2) NOT NULL CHECK (amount > 0),
        service varchar(100) NOT NULL,
        number_masked text NOT NULL,
        status text NOT NULL CHECK (status IN
          ('queued', 'sending', 'wait', 'unknown', 'paid', 'cancel', 'fail', 'rejected', 'withdrawn')),
        attempt integer NOT NULL DEFAULT 0,
        revision integer NOT NULL DEFAULT 0,
        lease_until timestamptz,
        possibly_sent boolean NOT NULL DEFAULT false,
        provider_id bigint,
        payment_amount numeric,
        commission_amount numeric,
        is_partial_payment boolean,
        attention text,
        refused_at timestamptz,
        unsent_count integer NOT NULL DEFAULT 0,
        not_found_count integer NOT NULL DEFAULT 0,
        not_found_since timestamptz,
        check_count integer NOT NULL DEFAULT 0,
        due_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        settled_at timestamptz,
        key_id varchar(32) NOT NULL,
        recipient_ciphertext bytea,
        number_fingerprint bytea NOT NULL,
        content_fingerprint bytea NOT NULL,
        CHECK (status <> 'sending' OR lease_until IS NOT NULL),
        CHECK ((settled_at IS NOT NULL) = (status IN ('paid', 'cancel', 'fail', 'rejected', 'withdrawn')))
      )`);
    await queryRunner.query('CREATE INDEX alikassa_payouts_status_idx ON alikassa_payouts (status, seq DESC)');
    // The sweep reads open payouts only, so its index holds no finished one.
    await queryRunner.query(`
      CREATE INDEX alikassa_payouts_due_idx ON alikassa_payouts (due_at)
      WHERE status IN ('queued', 'sending', 'wait', 'unknown')`);
    await queryRunner.query('CREATE INDEX alikassa_payouts_number_idx ON alikassa_payouts (number_fingerprint)');
    await queryRunner.query(`
      CREATE TABLE alikassa_payout_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payout_id uuid NOT NULL REFERENCES alikassa_payouts (id),
        type text NOT NULL,
        from_status text,
        to_status text NOT NULL,
        attempt integer NOT NULL,
        actor text,
        detail jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await queryRunner.query('CREATE INDEX alikassa_payout_events_payout_idx ON alikassa_payout_events (payout_id, id)');
    await queryRunner.query(`
      CREATE TABLE alikassa_notifications (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest bytea NOT NULL CONSTRAINT alikassa_notifications_digest_key UNIQUE,
        type text NOT NULL,
        order_id text NOT NULL,
        provider_id bigint NOT NULL,
        payment_status text NOT NULL,
        account text NOT NULL,
        result text NOT NULL,
        received_count integer NOT NULL DEFAULT 1,
        first_received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        last_received_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await queryRunner.query('CREATE INDEX alikassa_notifications_order_idx ON alikassa_notifications (order_id)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE alikassa_notifications');
    await queryRunner.query('DROP TABLE alikassa_payout_events');
    await queryRunner.query('DROP TABLE alikassa_payouts');
  }
}
