import type { DataSource, EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { Payout } from './payout.entity.js';
import { PayoutSnapshot } from './payout.snapshot.js';
import { remembered } from './remembered.js';

type Row = Readonly<Record<string, unknown>>;

/** The database's clock, to be selected beside a payout. */
export const CLOCK = 'clock_timestamp() AS db_now';

/** Rows of our own statements as entities, converted as TypeORM converts its own. */
export class PayoutRows {
  private readonly lists = new Map<string, string>();
  private readonly columns = new Map<string, { name: string; type: string }>();

  constructor(private readonly dataSource: DataSource) {}

  /** The select list of a payout. @param source the alias that it is selected from. */
  list(source: string): string {
    return this.listOf(source, false);
  }

  /** With the encrypted columns. */
  sealedList(source: string): string {
    return this.listOf(source, true);
  }

  /** What a select list of these has given. */
  entity(row: Row): Payout {
    const payout = new Payout();
    for (const column of this.metadata.columns) {
      if (!(column.propertyName in row)) continue;
      column.setEntityValue(payout, this.dataSource.driver.prepareHydratedValue(row[column.propertyName], column));
    }
    return payout;
  }

  /** What a select list of these has given, with `CLOCK`. */
  snapshot(row: Row): PayoutSnapshot {
    return new PayoutSnapshot(this.entity(row), row['db_now'] as Date);
  }

  /** The property's column: its quoted name and its type in Postgres, without a length. */
  columnOf(property: string): { name: string; type: string } {
    return remembered(this.columns, property, () => {
      const column = this.metadataOf(property);
      return { name: `"${column.databaseName}"`, type: String(column.type) };
    });
  }

  /** The property's value as its column holds it. */
  valueOf(property: string, value: unknown): unknown {
    return this.dataSource.driver.preparePersistentValue(value, this.metadataOf(property));
  }

  private metadataOf(property: string): ColumnMetadata {
    const column = this.metadata.findColumnWithPropertyName(property);
    if (!column) throw new TypeError(`Payout has no column for ${property}`);
    return column;
  }

  private listOf(source: string, isSealed: boolean): string {
    return remembered(this.lists, `${source} ${isSealed}`, () =>
      this.metadata.columns
        .filter(({ isSelect }) => isSelect || isSealed)
        .map(({ databaseName, propertyName }) => `${source}."${databaseName}" AS "${propertyName}"`)
        .join(', '),
    );
  }

  private get metadata(): EntityMetadata {
    return this.dataSource.getMetadata(Payout);
  }
}
