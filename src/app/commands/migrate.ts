import { ConfigurationError } from '../../alikassa.errors.js';
import type { Environment } from '../app.config.js';
import { checkedDatabaseUrl } from '../config.values.js';
import { migrateDown, migrateUp } from '../database.js';

/** Runs every missing migration, the job engine's too; `down` reverts the last one of the module. */
export async function migrate(env: Environment, options: { down: boolean }): Promise<number> {
  const text = env.DATABASE_URL?.trim();
  if (!text)
    throw new ConfigurationError('DATABASE_URL', 'is missing; give postgres://user:password@host:5432/database');
  const url = checkedDatabaseUrl('DATABASE_URL', text);
  if (options.down) {
    const reverted = await migrateDown(url);
    console.log(reverted ? `reverted  ${reverted}` : 'nothing to revert');
    return 0;
  }
  const ran = await migrateUp(url, 'alikassa_worker');
  for (const name of ran) console.log(`applied   ${name}`);
  console.log(ran.length === 0 ? 'up to date' : 'done');
  return 0;
}
