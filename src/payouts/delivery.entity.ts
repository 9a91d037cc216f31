import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A call of one of the host's handlers that is still owed; gone once the handler has returned. */
@Entity({ name: 'alikassa_deliveries', synchronize: false })
export class PayoutDelivery {
  @PrimaryColumn({ name: 'event_id', type: 'bigint' })
  eventId!: string;

  @PrimaryColumn({ type: 'varchar', length: 200 })
  handler!: string;

  /** Name of the module's instance that owes the call. */
  @Column({ type: 'varchar', length: 32 })
  instance!: string;

  /** Raised by every call: the fencing token of the call that runs. */
  @Column({ type: 'integer' })
  attempt!: number;

  /** When the next call is due; while one runs, until when it is taken to be alive. */
  @Column({ name: 'due_at', type: 'timestamptz' })
  dueAt!: Date;
}
