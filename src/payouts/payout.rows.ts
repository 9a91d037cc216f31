import type { DataSource } from 'typeorm';
import { plainSql } from './database.types.js';
import { EntityRows, type Row } from './entity.rows.js';
import { Payout } from './payout.entity.js';
import { PayoutSnapshot } from './payout.snapshot.js';

/** The database's clock, to be selected beside a payout. */
export const CLOCK = `${plainSql('clock_timestamp()')} AS db_now`;

/** Rows of our own statements as payouts. */
export class PayoutRows extends EntityRows<Payout> {
  constructor(dataSource: DataSource) {
    super(dataSource, Payout);
  }

  /** What a select list of these has given, with `CLOCK`. */
  snapshot(row: Row): PayoutSnapshot {
    return new PayoutSnapshot(this.entity(row), new Date(row['db_now'] as string));
  }
}
