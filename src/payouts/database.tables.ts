import type { DataSource } from 'typeorm';
import { remembered } from './remembered.js';

/** Of each DataSource, once its entities are known. */
const paths = new WeakMap<DataSource, Map<string, string>>();

/** The table's quoted path, with the `schema` and the `entityPrefix` that the host has given its DataSource. */
export function tablePath(dataSource: DataSource, name: string): string {
  const known = remembered(paths, dataSource, () => new Map<string, string>());
  return remembered(known, name, () => quotedPath(dataSource, name));
}

function quotedPath(dataSource: DataSource, name: string): string {
  const metadata = dataSource.entityMetadatas.find((one) => one.tableNameWithoutPrefix === name);
  if (!metadata) throw new TypeError(`The DataSource does not know the entity of ${name}; add alikassaEntities to it.`);
  return metadata.tablePath
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

/** As `tablePath`, of a function that the migrations have made. */
export function functionPath({ options }: DataSource, name: string): string {
  const path = `"${options.entityPrefix ?? ''}${name}"`;
  return options.type === 'postgres' && options.schema ? `"${options.schema}".${path}` : path;
}
