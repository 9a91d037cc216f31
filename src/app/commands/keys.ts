import { randomBytes } from 'node:crypto';
import { resolveOptions } from '../../alikassa.options.js';
import { HandlerRegistry } from '../../payouts/handler.registry.js';
import { OpenOrders } from '../../payouts/open.orders.js';
import { PayoutStore } from '../../payouts/payout.store.js';
import { RecipientCipher } from '../../payouts/recipient.cipher.js';
import { RecipientRotation, type RotationProgress, type RotationReport } from '../../payouts/recipient.rotation.js';
import { loadConfig, type Environment } from '../app.config.js';
import { checkMigrations, withDataSource } from '../database.js';
import { onStopSignal } from '../stop.signal.js';

const PROGRESS_EVERY_MS = 1_000;
/** A key that is missing makes every one of its rows unreadable: not all of them help. */
const SHOWN_UNREADABLE = 100;

/** Prints a new key as `ALIKASSA_ENCRYPTION_KEYS` takes it; its id tells the day. */
export async function generateKey(): Promise<number> {
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  console.log(`k${day}-${randomBytes(2).toString('hex')}:${randomBytes(32).toString('base64')}`);
  return 0;
}

/**
 * Brings all rows under the first key of the ring (docs/KEYS.md); what it does goes to standard output, progress and
 * faults to standard error.
 * @returns 1 if a row is left that has to be looked at or rotated by another run.
 */
export async function rotateKeys(env: Environment): Promise<number> {
  const config = loadConfig(env);
  const options = resolveOptions(config.alikassa);
  await checkMigrations(config.databaseUrl, options.worker.schema);
  const cipher = new RecipientCipher(options.encryptionKeys);
  const stop = onStopSignal();
  const say = (): void => console.error('stopping after the batch under way');
  stop.signal.addEventListener('abort', say, { once: true });
  try {
    const report = await withDataSource(config.databaseUrl, async (dataSource) => {
      // No handler is called: marking a payout changes no status.
      const store = new PayoutStore(dataSource, options, new HandlerRegistry(), new OpenOrders());
      return new RecipientRotation(dataSource, store, cipher, options).run({
        signal: stop.signal,
        onProgress: progressPrinter(),
        onUnreadable: unreadablePrinter(),
      });
    });
    return printed(report, cipher.activeKeyId);
  } finally {
    stop.release();
  }
}

function progressPrinter(): (progress: RotationProgress) => void {
  const startedAt = performance.now();
  let nextAt = 0;
  return ({ rotated, unreadable, total }) => {
    const now = performance.now();
    const done = rotated + unreadable;
    if (now < nextAt && done < total) return;
    nextAt = now + PROGRESS_EVERY_MS;
    const rate = Math.round((rotated / (now - startedAt)) * 1_000);
    console.error(`${done} of ${total} rows, ${rate} rows/s`);
  };
}

function unreadablePrinter(): (error: Error) => void {
  let count = 0;
  return ({ message }) => {
    count += 1;
    if (count <= SHOWN_UNREADABLE) console.error(`unreadable  ${message}`);
    if (count === SHOWN_UNREADABLE) console.error('unreadable  ... further ones are only counted');
  };
}

/** What has become of every key, and what to do about it. */
function printed({ rotated, unreadable, isStopped, left, unused }: RotationReport, active: string): number {
  console.log(`rotated     ${rotated} row(s) to key ${active}`);
  for (const id of unused) console.log(`key ${id}: no row uses it; it can be removed from the ring`);
  for (const { keyId, sealed, erased } of left) {
    if (erased > 0) console.log(`key ${keyId}: ${erased} row(s) have no ciphertext; keep key ${keyId} in the ring`);
    if (sealed > 0) console.log(`key ${keyId}: ${sealed} row(s) are still under it; keep it, and rotate again`);
  }
  if (isStopped) console.error('stopped: run "alikassa keys rotate" again to go on');
  if (unreadable > 0) {
    console.error(
      `${unreadable} row(s) cannot be read back: add the missing key or restore the rows, then rotate again; ` +
        'open payouts among them have the attention recipient_unreadable',
    );
  }
  const isDone = !isStopped && unreadable === 0 && left.every(({ sealed }) => sealed === 0);
  return isDone ? 0 : 1;
}
