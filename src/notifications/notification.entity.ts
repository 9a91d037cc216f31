import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The inbox: every distinct notification with a valid signature, once, however often it came. */
@Entity({ name: 'alikassa_notifications', synchronize: false })
export class AliKassaNotification {
  @PrimaryGeneratedColumn({ type: 'bigint' })
  id!: string;

  /** Name of the module's instance whose endpoint it came to. */
  @Column({ type: 'varchar', length: 32 })
  instance!: string;

  /** SHA-256 of the signed content; unique within the instance, so that a redelivery only counts. */
  @Column({ type: 'bytea', select: false })
  digest!: Buffer;

  @Column({ type: 'text' })
  type!: string;

  @Column({ name: 'order_id', type: 'text' })
  orderId!: string;

  /** The provider's id, every digit. */
  @Column({ name: 'provider_id', type: 'bigint' })
  providerId!: string;

  @Column({ name: 'payment_status', type: 'text' })
  paymentStatus!: string;

  @Column({ type: 'text' })
  account!: string;

  /** What became of it: `settled` (or found in conflict), `hinted` (the status call was asked), `unchanged`, `unmatched`, `ignored`. */
  @Column({ type: 'text' })
  result!: string;

  @Column({ name: 'received_count', type: 'integer' })
  receivedCount!: number;

  @Column({ name: 'first_received_at', type: 'timestamptz' })
  firstReceivedAt!: Date;

  @Column({ name: 'last_received_at', type: 'timestamptz' })
  lastReceivedAt!: Date;
}
