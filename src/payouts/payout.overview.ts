import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { faultsOf } from './database.faults.js';
import { query } from './database.statements.js';
import { tablePath } from './database.tables.js';
import type { PayoutStatus } from './payout.status.js';

export const OPEN_STATUSES = ['queued', 'sending', 'wait', 'unknown'] as const satisfies readonly PayoutStatus[];

/** How the payouts of an instance stand, on every process together. Times are seconds by the database's clock. */
export interface Overview {
  /** Open payouts by account and status; every configured account has each status. */
  open: { account: string; status: (typeof OPEN_STATUSES)[number]; count: number }[];
  /** Payouts, open or final, that carry `attention`. */
  attention: { account: string; reason: string; count: number }[];
  /** How long what is due has been waiting; 0 where nothing is. */
  lagSeconds: { payouts: number; handlers: number };
  /** Age of the oldest payout that is `unknown`, since it was created; 0 where none is. */
  oldestUnknownSeconds: number;
}

/** Asked for by anyone who may call /health, the database sees no more than this. */
const FRESH_MS = 5_000;
const OPEN = OPEN_STATUSES.map((status) => `'${status}'`).join(', ');

/** Reads how the payouts stand, at most every five seconds. Its cost grows with what is open, not with what has ended. */
export class PayoutOverview {
  private reading?: { at: number; overview: Promise<Overview> };

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: Pick<ResolvedOptions, 'accounts' | 'instance'>,
  ) {}

  /** SQLSTATEs of statements of the module that the database refuses; nothing is asked for that. */
  get refused(): string[] {
    return faultsOf(this.dataSource).refused;
  }

  /** @throws DatabaseUnavailableError */
  async read(): Promise<Overview> {
    const now = performance.now();
    if (!this.reading || now - this.reading.at > FRESH_MS) this.reading = { at: now, overview: this.query() };
    return this.reading.overview;
  }

  private async query(): Promise<Overview> {
    const payouts = tablePath(this.dataSource, 'alikassa_payouts');
    const deliveries = tablePath(this.dataSource, 'alikassa_deliveries');
    const late = (table: string, where: string): string =>
      `(SELECT greatest(0, extract(epoch FROM clock_timestamp() - min(due_at)))::numeric FROM ${table} WHERE instance = $1${where})`;
    const list = (select: string): string =>
      `(SELECT coalesce(json_agg(one), '[]') FROM (SELECT account, ${select} AND instance = $1 GROUP BY 1, 2) AS one)`;
    // Each part by its own partial index: of final rows only those with attention are read.
    const [row] = await query<Row>(
      this.dataSource,
      `SELECT
          ${list(`status, count(*)::int AS count FROM ${payouts} WHERE status IN (${OPEN})`)} AS open,
          ${list(`reason, count(*)::int AS count FROM ${payouts}, string_to_table(attention, ' ') AS reason WHERE attention IS NOT NULL`)} AS attention,
          ${late(payouts, ` AND status IN (${OPEN})`)} AS payouts,
          ${late(deliveries, '')} AS handlers,
          (SELECT extract(epoch FROM clock_timestamp() - created_at)::numeric FROM ${payouts}
            WHERE instance = $1 AND status = 'unknown' ORDER BY seq LIMIT 1) AS unknown`,
      [this.options.instance],
    );
    const none = this.options.accounts
      .flatMap(({ uuid }) => OPEN_STATUSES.map((status) => ({ account: uuid, status, count: 0 })))
      .filter((zero) => !row?.open.some(({ account, status }) => account === zero.account && status === zero.status));
    return {
      open: [...(row?.open ?? []), ...none],
      attention: row?.attention ?? [],
      lagSeconds: { payouts: Number(row?.payouts ?? 0), handlers: Number(row?.handlers ?? 0) },
      oldestUnknownSeconds: Number(row?.unknown ?? 0),
    };
  }
}

interface Row extends Pick<Overview, 'open' | 'attention'> {
  /** Decimal strings, which no setting of the session shortens. */
  payouts: string | null;
  handlers: string | null;
  unknown: string | null;
}
