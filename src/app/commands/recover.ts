import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { resolveOptions } from '../../alikassa.options.js';
import { PayoutRecovery, type RecoveryReport } from '../../worker/payout.recovery.js';
import { AppModule } from '../app.module.js';
import { loadConfig, type Environment } from '../app.config.js';
import type { CommandInput } from '../command.js';
import { checkMigrations, query } from '../database.js';
import { onStopSignal } from '../stop.signal.js';

const PROGRESS_EVERY_MS = 1_000;
const NAME_WIDTH = 13;

/**
 * Asks the provider about every open payout of a database that went back (docs/operating.md). The result goes to standard
 * output, progress to standard error.
 * @returns 1 if the provider has not told of some yet.
 */
export async function recover(env: Environment, { dryRun }: Pick<CommandInput, 'dryRun'>): Promise<number> {
  const config = loadConfig(env);
  await checkMigrations(config.databaseUrl, resolveOptions(config.alikassa).worker.schema);
  if (dryRun) return countOpen(config.databaseUrl);
  const stop = onStopSignal();
  const say = (): void => console.error('stopping after the questions under way');
  stop.signal.addEventListener('abort', say, { once: true });
  Logger.overrideLogger(['error', 'fatal']);
  // No worker: what is queued again is not sent by this process.
  const alikassa = { ...config.alikassa, worker: { ...config.alikassa.worker, enabled: false } };
  const app = await NestFactory.createApplicationContext(AppModule.forConfig({ ...config, alikassa }), {
    abortOnError: false,
    logger: ['error', 'fatal'],
  });
  try {
    const report = await app.get(PayoutRecovery).run({ signal: stop.signal, onProgress: progressPrinter() });
    return printed(report);
  } finally {
    await app.close();
    stop.release();
  }
}

/** Changes nothing. */
async function countOpen(databaseUrl: string): Promise<number> {
  const rows = await query<{ status: string; count: number }>(
    databaseUrl,
    `SELECT status, count(*)::int AS count FROM alikassa_payouts
     WHERE status IN ('queued', 'sending', 'wait', 'unknown') GROUP BY status ORDER BY status`,
  );
  const [epoch] = await query<{ known: boolean }>(
    databaseUrl,
    `SELECT identity = alikassa_database_identity() AS known FROM alikassa_database_epochs ORDER BY id DESC LIMIT 1`,
  );
  for (const { status, count } of rows) line(status, count, 'would be asked about');
  if (rows.length === 0) console.log('no payout is open');
  if (epoch?.known === false) console.log('the database is not the one that it was: a worker would ask about them too');
  return 0;
}

function progressPrinter(): (report: RecoveryReport) => void {
  let nextAt = 0;
  return ({ total, open }) => {
    const now = performance.now();
    if (now < nextAt && open > 0) return;
    nextAt = now + PROGRESS_EVERY_MS;
    console.error(`${total - open} of ${total} payouts`);
  };
}

function printed({ ended, found, queuedAgain, held, open }: RecoveryReport): number {
  line('ended', ended, 'as the provider says');
  line('found', found, 'at the provider, and open there');
  line(
    'queued again',
    queuedAgain,
    'the provider does not have them: they go out when a worker runs, or can be withdrawn',
  );
  line('held', held, 'may have been sent, and the provider does not know them or contradicts: see their attention');
  line(
    'open',
    open,
    open > 0 ? 'the provider has not told yet: run "alikassa recover" again' : 'nothing is left to ask',
  );
  return open > 0 ? 1 : 0;
}

function line(name: string, count: number, what: string): void {
  console.log(`${name.padEnd(NAME_WIDTH)} ${String(count).padStart(7)}  ${what}`);
}
