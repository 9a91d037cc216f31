import { Column, CreateDateColumn, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { ATTENTION_TEXT, type Alarm } from './attention.js';
import type { PayoutStatus } from './payout.status.js';

/** Whose word ended a payout: only the provider's is the last one. */
export type EndedBy = 'provider' | 'confirmed_absence' | 'person' | 'withdrawal';

/**
 * One payout. Read it freely; never write it: its status changes only in `PayoutStore.settle()`. No column is updated by
 * TypeORM, so that `save()` of an entity that has become stale writes nothing back.
 * A host's `synchronize` leaves it alone, like all our tables: the migrations make more of them than an entity says.
 * Money is a decimal string. Columns that hold recipient data are encrypted and not selected unless asked for.
 */
@Entity({ name: 'alikassa_payouts', synchronize: false })
export class Payout {
  @PrimaryColumn('uuid')
  id!: string;

  /** Order of creation; what the list is paged by. */
  @Column({ type: 'bigint', generated: 'identity', update: false })
  seq!: string;

  /** Name of the module's instance that pays it; `default` where it was given none. */
  @Column({ type: 'varchar', length: 32, update: false })
  instance!: string;

  /** The merchant's id; unique within the instance. */
  @Column({ name: 'order_id', type: 'varchar', length: 128, update: false })
  orderId!: string;

  /** Uuid of the paying account. */
  @Column({ type: 'uuid', update: false })
  account!: string;

  @Column({ type: 'char', length: 3, update: false })
  currency!: string;

  @Column({ type: 'numeric', precision: 11, scale: 2, update: false })
  amount!: string;

  @Column({ type: 'varchar', length: 100, update: false })
  service!: string;

  /** First six and last four digits of a card, last four of anything else. */
  @Column({ name: 'number_masked', type: 'text', update: false })
  numberMasked!: string;

  @Column({ type: 'text', update: false })
  status!: PayoutStatus;

  /** Attempts so far, the one under way included. */
  @Column({ type: 'integer', update: false })
  attempt!: number;

  /** The fencing token: random, new with every claim. A late writer no longer holds it, a failover cannot repeat it. */
  @Column({ name: 'attempt_token', type: 'uuid', nullable: true, update: false })
  attemptToken!: string | null;

  /** Raised by every change that stands in the history; a change is conditional on it, and so is a person's decision. */
  @Column({ type: 'integer', update: false })
  revision!: number;

  /** By the database's clock; set while `sending`. */
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true, update: false })
  leaseUntil!: Date | null;

  /** True as soon as any attempt could have reached the provider, and never false again. */
  @Column({ name: 'possibly_sent', type: 'boolean', update: false })
  possiblySent!: boolean;

  /** The provider's id, every digit. */
  @Column({ name: 'provider_id', type: 'bigint', nullable: true, update: false })
  providerId!: string | null;

  @Column({ name: 'payment_amount', type: 'numeric', nullable: true, update: false })
  paymentAmount!: string | null;

  @Column({ name: 'commission_amount', type: 'numeric', nullable: true, update: false })
  commissionAmount!: string | null;

  @Column({ name: 'is_partial_payment', type: 'boolean', nullable: true, update: false })
  isPartialPayment!: boolean | null;

  /** Why a person should look, sorted; empty while nobody needs to. */
  @Column({ type: 'text', nullable: true, update: false, transformer: ATTENTION_TEXT })
  attention!: Alarm[];

  /** What the provider has said beside `providerId`, each once: `<id>:<status>`, `<conflict>=<value>`. */
  @Column({ type: 'jsonb', update: false })
  heard!: string[];

  /** On whose word the payout is final; null while it is open, and for payouts that ended before this was kept. */
  @Column({ name: 'ended_by', type: 'text', nullable: true, update: false })
  endedBy!: EndedBy | null;

  /** Since when the documented 400 stands against the payout. */
  @Column({ name: 'refused_at', type: 'timestamptz', nullable: true, update: false })
  refusedAt!: Date | null;

  /** Attempts in a row that were proven never sent. */
  @Column({ name: 'unsent_count', type: 'integer', update: false })
  unsentCount!: number;

  /** Attempts proven never sent, in all. */
  @Column({ name: 'unsent_total', type: 'integer', update: false })
  unsentTotal!: number;

  @Column({ name: 'not_found_count', type: 'integer', update: false })
  notFoundCount!: number;

  @Column({ name: 'not_found_since', type: 'timestamptz', nullable: true, update: false })
  notFoundSince!: Date | null;

  /** Status calls made since the payout last changed its status. */
  @Column({ name: 'check_count', type: 'integer', update: false })
  checkCount!: number;

  /** Epoch of the database in which the provider was asked about the payout; null where no change made that necessary. */
  @Column({ type: 'integer', nullable: true, update: false })
  epoch!: number | null;

  /**
   * Since when a payout that was `queued` is doubted: the database went back, and the provider may have it. Null again when
   * the provider has spoken of it or confirmed that it does not have it.
   */
  @Column({ name: 'doubted_at', type: 'timestamptz', nullable: true, update: false })
  doubtedAt!: Date | null;

  /** When the next job of this payout is due; the sweep repairs what is overdue. */
  @Column({ name: 'due_at', type: 'timestamptz', nullable: true, update: false })
  dueAt!: Date | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz', update: false })
  createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz', update: false })
  updatedAt!: Date;

  @Column({ name: 'settled_at', type: 'timestamptz', nullable: true, update: false })
  settledAt!: Date | null;

  /** Key of the ring under which the next three columns were made. */
  @Column({ name: 'key_id', type: 'varchar', length: 32, select: false, update: false })
  keyId!: string;

  /** The request body, encrypted: IV, tag, ciphertext. Null once it was erased. */
  @Column({ name: 'recipient_ciphertext', type: 'bytea', nullable: true, select: false, update: false })
  recipientCiphertext!: Buffer | null;

  /** HMAC of the recipient's number, for search. */
  @Column({ name: 'number_fingerprint', type: 'bytea', select: false, update: false })
  numberFingerprint!: Buffer;

  /** HMAC of the whole content: what a repeated create is compared with. */
  @Column({ name: 'content_fingerprint', type: 'bytea', select: false, update: false })
  contentFingerprint!: Buffer;
}

/** One line of a payout's history; append-only. */
@Entity({ name: 'alikassa_payout_events', synchronize: false })
export class PayoutEvent {
  /** Order of the history; the database's own. */
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  /** The event's id for others: random, so that a failover cannot hand it out twice. Null for events of older versions. */
  @Column({ type: 'uuid', nullable: true, update: false })
  key!: string | null;

  @Column({ name: 'payout_id', type: 'uuid', update: false })
  payoutId!: string;

  /** What happened, e.g. `created`, `claimed`, `submission`, `check`, `notification`, `person`, `lease_expired`. */
  @Column({ type: 'text', update: false })
  type!: string;

  @Column({ name: 'from_status', type: 'text', nullable: true, update: false })
  fromStatus!: PayoutStatus | null;

  @Column({ name: 'to_status', type: 'text', update: false })
  toStatus!: PayoutStatus;

  @Column({ type: 'integer', update: false })
  attempt!: number;

  /** The payout's revision after the change; null for events of older versions. */
  @Column({ type: 'integer', nullable: true, update: false })
  revision!: number | null;

  /** Id of the person's decision: the same decision is made once. */
  @Column({ type: 'uuid', nullable: true, update: false })
  decision!: string | null;

  /** The person or token behind it; null for the machine, `unnamed` for a person's decision that named nobody. */
  @Column({ type: 'text', nullable: true, update: false })
  actor!: string | null;

  /** The evidence, without anything about the recipient. */
  @Column({ type: 'jsonb', update: false })
  detail!: Record<string, unknown>;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz', update: false })
  createdAt!: Date;

  /** Database role that wrote it; not selected unless asked for. Null: older than the record of it. */
  @Column({ name: 'written_by', type: 'text', nullable: true, select: false, insert: false, update: false })
  writtenBy!: string | null;
}
