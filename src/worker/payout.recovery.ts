import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ProviderUnavailableError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { DatabaseEpochs } from '../payouts/database.epochs.js';
import { query } from '../payouts/database.statements.js';
import { tablePath } from '../payouts/database.tables.js';
import type { Payout } from '../payouts/payout.entity.js';
import type { PayoutService } from '../payouts/payout.service.js';
import { isFinal, type PayoutStatus } from '../payouts/payout.status.js';
import type { RestoredPayouts } from '../payouts/restored.payouts.js';

/** Payouts that are looked at together, and questions to the provider that are under way at once. */
const PAGE = 1_000;
const QUESTIONS = 5;
const PAUSE_MS = 250;

/** What has become of the payouts that were open when the recovery began. */
export interface RecoveryReport {
  /** Payouts that were open. */
  total: number;
  /** Ended, as the provider says. */
  ended: number;
  /** At the provider, and open there. */
  found: number;
  /** Confirmed not to be at the provider, and queued again: they go out when a worker runs, or can be withdrawn. */
  queuedAgain: number;
  /** May have been sent, and the provider does not know them, or contradicts what is stored: a person decides. */
  held: number;
  /** The provider has not told yet. */
  open: number;
}

/** How a recovery runs, and who hears of it. */
export interface RecoveryOptions {
  /** Ends the recovery early; it can be run again. */
  signal?: AbortSignal;
  /** After every round of questions. */
  onProgress?: (report: RecoveryReport) => void;
}

type Fate = Exclude<keyof RecoveryReport, 'total' | 'open'>;

interface OpenRow extends Pick<Payout, 'id' | 'epoch'> {
  /** Queued when the database went back. */
  isDoubted: boolean;
  /** Names, separated by spaces. */
  attention: string | null;
  status: PayoutStatus;
  dueInMs: number | null;
  isNotFound: boolean;
}

/**
 * Asks the provider about everything that an instance's database holds as open, after the database went back: before
 * workers run, or while they do. It writes by the rules of every other writer, so it may be ended at any time and be run
 * again, by several at once; each run asks anew.
 */
@Injectable()
export class PayoutRecovery {
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'instance' | 'rejectAfterNotFound' | 'rejectAfterMs'>,
    private readonly payouts: Pick<PayoutService, 'refresh'>,
    private readonly restored: RestoredPayouts,
    private readonly epochs: DatabaseEpochs,
  ) {}

  /**
   * Has the provider asked about every open payout, and waits until it has told, or "not found" is confirmed as often and
   * as long as configured.
   * @throws DatabaseUnavailableError what was done until then stays done.
   */
  async run({ signal, onProgress }: RecoveryOptions = {}): Promise<RecoveryReport> {
    const { id: epoch } = await this.epochs.begin();
    const pending = new Set(await this.openIds());
    const report = { total: pending.size, ended: 0, found: 0, queuedAgain: 0, held: 0, open: pending.size };
    /** Payouts of which the provider has told that they are open there. */
    const told = new Set<string>();
    for (;;) {
      await this.restored.bring();
      const due: string[] = [];
      for (const row of await this.rows([...pending])) {
        const fate = this.fateOf(row, epoch, told);
        if (fate) {
          report[fate] += 1;
          pending.delete(row.id);
        } else if (isAskable(row, epoch)) due.push(row.id);
      }
      report.open = pending.size;
      onProgress?.({ ...report });
      if (pending.size === 0 || signal?.aborted) return report;
      await this.ask(due, told, signal);
      if (due.length === 0) await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns null while the provider has not told. */
  private fateOf(row: OpenRow, epoch: number, told: ReadonlySet<string>): Fate | null {
    if (isFinal(row.status)) return 'ended';
    if ((row.epoch ?? 0) < epoch) return null;
    if (row.status === 'queued' || row.status === 'sending') return 'queuedAgain';
    if (row.attention?.includes('conflict_')) return 'held';
    if (row.isDoubted) return null;
    if (row.isNotFound) return 'held';
    return row.status === 'wait' && told.has(row.id) ? 'found' : null;
  }

  /** A few at a time; a payout about which there is no answer is come back to when its next question is due. */
  private async ask(ids: string[], told: Set<string>, signal: AbortSignal | undefined): Promise<void> {
    const left = [...ids];
    const one = async (): Promise<void> => {
      for (let id = left.shift(); id !== undefined && !signal?.aborted; id = left.shift()) {
        try {
          const { status, notFoundCount } = await this.payouts.refresh(id);
          if (status === 'wait' && notFoundCount === 0) told.add(id);
        } catch (error) {
          if (!(error instanceof ProviderUnavailableError)) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: QUESTIONS }, one));
  }

  private async openIds(): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `SELECT id FROM ${this.table} WHERE instance = $1 AND status IN ('queued', 'sending', 'wait', 'unknown')`,
      [this.options.instance],
    );
    return rows.map(({ id }) => id);
  }

  private async rows(ids: string[]): Promise<OpenRow[]> {
    const rows: OpenRow[] = [];
    for (let at = 0; at < ids.length; at += PAGE) {
      const page = await this.query<OpenRow>(
        `SELECT id, status, attention, epoch, doubted_at IS NOT NULL AS "isDoubted",
           (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS "dueInMs",
           not_found_count >= $2 AND not_found_since <= clock_timestamp() - $3 * interval '1 ms' AS "isNotFound"
         FROM ${this.table} WHERE id = ANY ($1::uuid[]) ORDER BY due_at`,
        [ids.slice(at, at + PAGE), this.options.rejectAfterNotFound, this.options.rejectAfterMs],
      );
      rows.push(...page);
    }
    return rows;
  }

  private get table(): string {
    return tablePath(this.dataSource, 'alikassa_payouts');
  }

  private async query<T>(sql: string, params: unknown[]): Promise<T[]> {
    return query<T>(this.dataSource, sql, params);
  }
}

/** The provider is asked about it now: it is its turn, and a worker has not asked first. */
function isAskable({ status, epoch, dueInMs }: OpenRow, since: number): boolean {
  if ((epoch ?? 0) < since || (status !== 'wait' && status !== 'unknown')) return false;
  return dueInMs !== null && dueInMs <= 0;
}
