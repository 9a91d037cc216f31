import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ConfigurationError, DatabaseRefusedError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { EpochReason } from './database.epoch.entity.js';
import { query } from './database.statements.js';
import { functionPath, tablePath } from './database.tables.js';

/** Between two questions about payouts of a database that went back, over all processes: the provider may answer 429. */
const ASK_EVERY_MS = 50;
/** Somebody else may begin the epoch at the same moment. */
const RECOGNITIONS = 5;
const NEEDS_OWNER =
  "holds no alikassa_database_epochs that the database's role may use; migrate as the owner and grant it (docs/DATABASE.md)";

/** The epoch that holds. */
export interface StandingEpoch {
  id: number;
  reason: EpochReason;
  /** Whether anything is doubted in it at all. */
  isDoubting: boolean;
}

interface EpochRow extends StandingEpoch {
  identity: string;
  isAdded: boolean;
  isCurrent: boolean;
}

/**
 * Knows whether the database is the one that it was: its cluster, timeline and oid are compared with those of the last epoch.
 * A promotion, a restore to a point in time and a dump that is put into another database each change one of them.
 */
export class DatabaseEpochs {
  private readonly logger = new Logger('AliKassaDatabase');

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'askFirstAfterRestoreMs' | 'leaseMs'>,
  ) {}

  /**
   * As `recognise`, when the application starts.
   * @throws ConfigurationError where the tables are missing, or the role may not use them.
   */
  async open(): Promise<StandingEpoch> {
    return this.standing('false', []).catch((error: unknown) => {
      throw error instanceof DatabaseRefusedError ? new ConfigurationError('DataSource', NEEDS_OWNER) : error;
    });
  }

  /** The epoch that holds; a new one where the database has changed. @throws DatabaseUnavailableError */
  async recognise(): Promise<StandingEpoch> {
    return this.standing('false', []);
  }

  /** Begins an epoch because a person says that the database went back. @throws DatabaseUnavailableError */
  async begin(): Promise<StandingEpoch> {
    return this.standing('true', ['person']);
  }

  /**
   * Takes note of an attempt that the database does not know. A change that was recognised since the attempt was claimed
   * explains it; otherwise an epoch begins, though the identity says nothing (a file system that was put back).
   * @param claimedAt by the database's clock; null where it is not known.
   * @throws DatabaseUnavailableError
   */
  async noteLostAttempt(claimedAt: Date | null): Promise<StandingEpoch> {
    const lease = `$4 * interval '1 ms'`;
    const isNew = `last.id IS NULL OR last.began_at + ${lease} < coalesce($3::timestamptz, clock_timestamp())`;
    return this.standing(isNew, ['evidence', claimedAt, this.options.leaseMs]);
  }

  /** Whether the provider must be asked about a payout before it is sent or taken back. @throws DatabaseUnavailableError */
  async doubts({ id }: StandingEpoch, payoutId: string): Promise<boolean> {
    const [row] = await this.query<{ doubtful: boolean }>(
      `SELECT payout.epoch IS DISTINCT FROM epoch.id AND payout.created_at < epoch.ask_until AS doubtful
       FROM ${tablePath(this.dataSource, 'alikassa_payouts')} AS payout, ${this.table} AS epoch
       WHERE payout.id = $1 AND epoch.id = $2`,
      [payoutId, id],
    );
    return row?.doubtful ?? false;
  }

  /** Takes turns to ask the provider. @returns in how many milliseconds each of them is. @throws DatabaseUnavailableError */
  async turns({ id }: StandingEpoch, count: number): Promise<number[]> {
    const [row] = await this.query<{ firstMs: number }>(
      `WITH taken AS (
         UPDATE ${this.table} SET next_ask_at = greatest(next_ask_at, clock_timestamp()) + $2 * interval '1 ms'
         WHERE id = $1 RETURNING extract(epoch FROM next_ask_at - clock_timestamp()) * 1000 - $2 AS first_ms
       ) SELECT greatest(first_ms, 0)::float8 AS "firstMs" FROM taken`,
      [id, count * ASK_EVERY_MS],
    );
    return Array.from({ length: count }, (_, index) => Math.round((row?.firstMs ?? 0) + index * ASK_EVERY_MS));
  }

  /** The instance's open payouts that the epoch has not come to yet. @throws DatabaseUnavailableError */
  async unasked({ id }: StandingEpoch, limit: number): Promise<string[]> {
    const table = tablePath(this.dataSource, 'alikassa_payouts');
    // By status, so that the index of open rows is read and finished ones never are.
    const rows = await this.query<{ id: string }>(
      `SELECT payout.id FROM ${this.table} AS epoch, unnest(ARRAY['queued', 'unknown', 'wait', 'sending']) AS open (status),
         LATERAL (
           SELECT id FROM ${table} AS payout
           WHERE payout.instance = $2 AND payout.status = open.status AND payout.epoch IS DISTINCT FROM epoch.id
             AND payout.created_at < epoch.ask_until AND (payout.status <> 'sending'
               OR payout.lease_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + $4 * interval '1 ms')
           ORDER BY payout.seq LIMIT $3
         ) AS payout
       WHERE epoch.id = $1 LIMIT $3`,
      [id, this.options.instance, limit, this.options.leaseMs],
    );
    return rows.map(({ id: payoutId }) => payoutId);
  }

  /** @param isNew SQL that says of `last`, the last epoch, whether another one begins though the identity is the same. */
  private async standing(isNew: string, [reason = 'changed', ...more]: unknown[]): Promise<StandingEpoch> {
    const identity = `${functionPath(this.dataSource, 'alikassa_database_identity')}()`;
    const sql = `WITH here AS MATERIALIZED (SELECT ${identity} AS identity),
       last AS MATERIALIZED (SELECT * FROM ${this.table} ORDER BY id DESC LIMIT 1),
       added AS (
         INSERT INTO ${this.table} (id, identity, reason, ask_until)
         SELECT coalesce(last.id, 0) + 1, here.identity,
           CASE WHEN last.id IS NULL AND $2 = 'changed' THEN 'first'
             WHEN last.identity <> here.identity AND $2 = 'evidence' THEN 'changed' ELSE $2 END,
           CASE WHEN last.id IS NOT NULL OR $2 <> 'changed' THEN clock_timestamp() + $1 * interval '1 ms' END
         FROM here LEFT JOIN last ON true WHERE last.identity IS DISTINCT FROM here.identity OR ${isNew}
         ON CONFLICT (id) DO NOTHING
         RETURNING *
       )
       SELECT epoch.id, epoch.reason, epoch.identity, epoch.ask_until IS NOT NULL AS "isDoubting",
         epoch.is_added AS "isAdded", epoch.identity = here.identity AS "isCurrent"
       FROM here, (
         SELECT *, true AS is_added FROM added UNION ALL
         SELECT *, false FROM last WHERE NOT EXISTS (SELECT FROM added)
       ) AS epoch`;
    for (let tries = 1; ; tries++) {
      const params = [this.options.askFirstAfterRestoreMs, reason, ...more];
      const [row] = await query<EpochRow>(this.dataSource, sql, params);
      if (row?.isAdded && row.isDoubting) this.report(row);
      if (row && (row.isCurrent || tries === RECOGNITIONS)) return row;
      if (tries === RECOGNITIONS) throw new TypeError('The epoch of the database cannot be told.');
    }
  }

  private report({ id, reason, identity }: EpochRow): void {
    this.logger.warn(
      `The database is not the one that it was (epoch ${id}, ${reason}, now ${identity}): the provider is asked about ` +
        'every open payout before it is sent or taken back (docs/failover.md).',
    );
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_database_epochs');
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return query<T>(this.dataSource, sql, params);
  }
}

/**
 * SQL of the epoch that holds, for the statement that claims a payout or ends it as never sent: the statement itself refuses
 * where the database has changed and nobody has noticed yet.
 */
export function standingEpochSql(dataSource: DataSource): { cte: string; holds: string } {
  const table = tablePath(dataSource, 'alikassa_database_epochs');
  const identity = `${functionPath(dataSource, 'alikassa_database_identity')}()`;
  return {
    cte: `standing AS MATERIALIZED (
         SELECT id, ask_until FROM ${table} WHERE id = (SELECT max(id) FROM ${table}) AND identity = ${identity}
       )`,
    holds: `EXISTS (SELECT FROM standing WHERE standing.ask_until IS NULL OR payout.epoch = standing.id
           OR payout.created_at >= standing.ask_until)`,
  };
}
