import { readFileSync } from 'node:fs';
import pg from 'pg';
import { migrateUp } from '../../src/app/database.js';

/** SQL of the guide, word for word: the block that is marked with this name. */
export function guideSql(name: string): string {
  const sql = new RegExp(`\`\`\`sql ${name}\\n([\\s\\S]*?)\`\`\``).exec(readFileSync('docs/DATABASE.md', 'utf8'))?.[1];
  if (!sql) throw new Error(`docs/DATABASE.md has no SQL block "${name}"`);
  return sql;
}

/**
 * Sets a database up as the guide says, under another name.
 * @param admin a superuser's connection to the server.
 * @returns its URL for the application's role.
 */
export async function createRestrictedDatabase(admin: pg.Client, serverUrl: string, name: string): Promise<string> {
  const { rowCount } = await admin.query("SELECT 1 FROM pg_roles WHERE rolname = 'alikassa_app'");
  if (!rowCount) await admin.query(guideSql('roles'));
  // CREATE DATABASE stands alone.
  const statements = guideSql('database').replaceAll('DATABASE alikassa', `DATABASE ${name}`).trim().split('\n');
  for (const statement of statements) await admin.query(statement);
  const url = serverUrl.replace(/[^/]*$/, name);
  await runAs(url, guideSql('schema'));
  await migrateUp(ownerOf(url), 'alikassa_worker');
  await runAs(ownerOf(url), guideSql('grants'));
  return urlAs(url, 'alikassa_app');
}

/** The database's URL for the role that owns its tables. */
export function ownerOf(url: string): string {
  return urlAs(url, 'alikassa_owner');
}

/** Runs statements on a connection of its own. */
export async function runAs(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function urlAs(url: string, role: string): string {
  const password = new RegExp(`ROLE ${role} LOGIN PASSWORD '([^']+)'`).exec(guideSql('roles'))?.[1] ?? '';
  return Object.assign(new URL(url), { username: role, password }).href;
}
