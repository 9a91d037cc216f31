import type { DataSource } from 'typeorm';

/** The table's quoted path, with the `schema` and the `entityPrefix` that the host has given its DataSource. */
export function tablePath(dataSource: DataSource, name: string): string {
  const metadata = dataSource.entityMetadatas.find((one) => one.tableNameWithoutPrefix === name);
  if (!metadata) throw new TypeError(`The DataSource does not know the entity of ${name}; add alikassaEntities to it.`);
  return metadata.tablePath
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}
