import { Column, CreateDateColumn, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type { PayoutStatus } from './payout.status.js';

/**
 * One payout. Read it freely; never write it: its status changes only in `PayoutStore.settle()`.
 * Money is a decimal string. Columns that hold recipient data are encrypted and not selected unless asked for.
 */
@Entity({ name: 'alikassa_payouts' })
export class Payout {
  @PrimaryColumn('uuid')
  id!: string;

  /** Order of creation; what the list is paged by. */
  @Column({ type: 'bigint', generated: 'identity' })
  seq!: string;

  /** The merchant's id; unique. */
  @Column({ name: 'order_id', type: 'varchar', length: 128 })
  orderId!: string;

  /** Uuid of the paying account. */
  @Column('uuid')
  account!: string;

  @Column({ type: 'char', length: 3 })
  currency!: string;

  @Column({ type: 'numeric', precision: 11, scale: 2 })
  amount!: string;

  @Column({ type: 'varchar', length: 100 })
  service!: string;

  /** First six and last four digits of a card, last four of anything else. */
  @Column({ name: 'number_masked', type: 'text' })
  numberMasked!: string;

  @Column({ type: 'text' })
  status!: PayoutStatus;

  /** Raised by every claim: the fencing token that a late writer no longer holds. */
  @Column({ type: 'integer' })
  attempt!: number;

  /** Raised by every change of the row; a change is conditional on it. */
  @Column({ type: 'integer' })
  revision!: number;

  /** By the database's clock; set while `sending`. */
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true })
  leaseUntil!: Date | null;

  /** True as soon as any attempt could have reached the provider, and never false again. */
  @Column({ name: 'possibly_sent', type: 'boolean' })
  possiblySent!: boolean;

  /** The provider's id, every digit. */
  @Column({ name: 'provider_id', type: 'bigint', nullable: true })
  providerId!: string | null;

  @Column({ name: 'payment_amount', type: 'numeric', nullable: true })
  paymentAmount!: string | null;

  @Column({ name: 'commission_amount', type: 'numeric', nullable: true })
  commissionAmount!: string | null;

  @Column({ name: 'is_partial_payment', type: 'boolean', nullable: true })
  isPartialPayment!: boolean | null;

  /** Why a person should look; null while nobody needs to. */
  @Column({ type: 'text', nullable: true })
  attention!: string | null;

  /** Since when the documented 400 stands against the payout. */
  @Column({ name: 'refused_at', type: 'timestamptz', nullable: true })
  refusedAt!: Date | null;

  /** Attempts in a row that were proven never sent. */
  @Column({ name: 'unsent_count', type: 'integer' })
  unsentCount!: number;

  @Column({ name: 'not_found_count', type: 'integer' })
  notFoundCount!: number;

  @Column({ name: 'not_found_since', type: 'timestamptz', nullable: true })
  notFoundSince!: Date | null;

  /** Status calls made since the payout last changed its status. */
  @Column({ name: 'check_count', type: 'integer' })
  checkCount!: number;

  /** When the next job of this payout is due; the sweep repairs what is overdue. */
  @Column({ name: 'due_at', type: 'timestamptz', nullable: true })
  dueAt!: Date | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz' })
  updatedAt!: Date;

  @Column({ name: 'settled_at', type: 'timestamptz', nullable: true })
  settledAt!: Date | null;

  /** Key of the ring under which the next three columns were made. */
  @Column({ name: 'key_id', type: 'varchar', length: 32, select: false })
  keyId!: string;

  /** The request body, encrypted: IV, tag, ciphertext. Null once it was erased. */
  @Column({ name: 'recipient_ciphertext', type: 'bytea', nullable: true, select: false })
  recipientCiphertext!: Buffer | null;

  /** HMAC of the recipient's number, for search. */
  @Column({ name: 'number_fingerprint', type: 'bytea', select: false })
  numberFingerprint!: Buffer;

  /** HMAC of the whole content: what a repeated create is compared with. */
  @Column({ name: 'content_fingerprint', type: 'bytea', select: false })
  contentFingerprint!: Buffer;
}

/** One line of a payout's history; append-only. */
@Entity({ name: 'alikassa_payout_events' })
export class PayoutEvent {
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  @Column({ name: 'payout_id', type: 'uuid' })
  payoutId!: string;

  /** What happened, e.g. `created`, `claimed`, `submission`, `check`, `notification`, `person`, `lease_expired`. */
  @Column({ type: 'text' })
  type!: string;

  @Column({ name: 'from_status', type: 'text', nullable: true })
  fromStatus!: PayoutStatus | null;

  @Column({ name: 'to_status', type: 'text' })
  toStatus!: PayoutStatus;

  @Column({ type: 'integer' })
  attempt!: number;

  /** The person or token behind it; null for the machine. */
  @Column({ type: 'text', nullable: true })
  actor!: string | null;

  /** The evidence, without anything about the recipient. */
  @Column({ type: 'jsonb' })
  detail!: Record<string, unknown>;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}
