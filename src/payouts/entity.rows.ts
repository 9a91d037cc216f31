import type { DataSource, EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { plainSql } from './database.types.js';
import { remembered } from './remembered.js';

const TIME = 'timestamptz';

export type Row = Readonly<Record<string, unknown>>;

/** Rows of our own statements as entities, converted as TypeORM converts its own. */
export class EntityRows<Entity extends object> {
  private readonly lists = new Map<string, string>();
  private readonly columns = new Map<string, { name: string; type: string }>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly type: new () => Entity,
  ) {}

  /** The select list of an entity. @param source the alias that it is selected from. */
  list(source: string): string {
    return this.listOf(source, false);
  }

  /** With the columns that are selected only where they are asked for. */
  sealedList(source: string): string {
    return this.listOf(source, true);
  }

  /** What a select list of these has given. */
  entity(row: Row): Entity {
    const entity = new this.type();
    for (const column of this.metadata.columns) {
      if (!(column.propertyName in row)) continue;
      const told = row[column.propertyName];
      // TypeORM 0.3 leaves the text of a `timestamptz` as it is.
      const value = column.type === TIME && typeof told === 'string' ? new Date(told) : told;
      column.setEntityValue(entity, this.dataSource.driver.prepareHydratedValue(value, column));
    }
    return entity;
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
    if (!column) throw new TypeError(`${this.type.name} has no column for ${property}`);
    return column;
  }

  private listOf(source: string, isSealed: boolean): string {
    return remembered(this.lists, `${source} ${isSealed}`, () =>
      this.metadata.columns
        .filter(({ isSelect }) => isSelect || isSealed)
        .map(({ databaseName, propertyName, type, isArray }) => {
          const column = `${source}."${databaseName}"`;
          return `${type === TIME || isArray ? plainSql(column) : column} AS "${propertyName}"`;
        })
        .join(', '),
    );
  }

  private get metadata(): EntityMetadata {
    return this.dataSource.getMetadata(this.type);
  }
}
