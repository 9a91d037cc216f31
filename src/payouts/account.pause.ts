import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Why nothing of an account is sent: 401 or 403, or 429. */
export type PauseReason = 'unauthorized' | 'rate_limited';

/** What one answer says of the account as a whole. */
export type PauseChange =
  | {
      to: 'paused';
      reason: PauseReason;
      forMs: number;
      /** The provider named the time; otherwise it doubles with every failure. */
      isExact: boolean;
    }
  /** Only a pause that began before this request was claimed is lifted by its answer. */
  | { to: 'lifted'; claimedAt: Date };

/** An account that sends nothing for now; shared by every process on the database. */
@Entity({ name: 'alikassa_account_pauses', synchronize: false })
export class AccountPause {
  @PrimaryColumn('uuid')
  account!: string;

  @Column({ type: 'text' })
  reason!: PauseReason;

  /** Failures in a row: every further one doubles the pause. Answers to one wave of requests count once. */
  @Column({ type: 'integer' })
  failures!: number;

  /** When it began or was last confirmed; an answer to an older request does not lift it. */
  @Column({ type: 'timestamptz' })
  since!: Date;

  /** One payout tries; all others wait for what becomes of it, until `pausedUntil` at most. */
  @Column({ name: 'is_probing', type: 'boolean' })
  isProbing!: boolean;

  /** From then on one payout may try. */
  @Column({ name: 'paused_until', type: 'timestamptz' })
  pausedUntil!: Date;
}
