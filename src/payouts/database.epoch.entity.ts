import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Why an epoch began: `first` use of the tables, a `changed` identity, `evidence` of a lost attempt, or a `person`. */
export type EpochReason = 'first' | 'changed' | 'evidence' | 'person';

/**
 * A time for which the database was the one that it is. The last one holds; what was open before it began is asked about at
 * the provider before it is sent or taken back.
 */
@Entity({ name: 'alikassa_database_epochs', synchronize: false })
export class DatabaseEpoch {
  @PrimaryColumn('integer')
  id!: number;

  /** Cluster, timeline and database, as `alikassa_database_identity()` says it. */
  @Column({ type: 'text', update: false })
  identity!: string;

  @Column({ type: 'text', update: false })
  reason!: EpochReason;

  @Column({ name: 'began_at', type: 'timestamptz', update: false })
  beganAt!: Date;

  /** Payouts that were created before this are asked about first; null: none is. */
  @Column({ name: 'ask_until', type: 'timestamptz', nullable: true, update: false })
  askUntil!: Date | null;

  /** When the provider may be asked about one more: questions that come together are spread. */
  @Column({ name: 'next_ask_at', type: 'timestamptz', update: false })
  nextAskAt!: Date;
}
