import type { ResolvedOptions } from '../alikassa.options.js';
import type { DatabaseEpochs } from './database.epochs.js';
import type { PayoutStore } from './payout.store.js';

const BATCH = 500;

/** Brings the open payouts of a database that went back to be asked about, in portions. */
export class RestoredPayouts {
  /** Epoch in which none was left to be brought, and since when. */
  private empty = { epoch: 0, since: 0 };

  constructor(
    private readonly store: Pick<PayoutStore, 'settle'>,
    private readonly epochs: DatabaseEpochs,
    private readonly options: Pick<ResolvedOptions, 'leaseMs'>,
  ) {}

  /**
   * Recognises a change of the database, and has the next portion of its open payouts asked about. An attempt under way is
   * let end; what is created later is found when it is claimed.
   * @returns of how many payouts; 0 when all of them are.
   * @throws DatabaseUnavailableError
   */
  async bring(): Promise<number> {
    const epoch = await this.epochs.recognise();
    const { empty } = this;
    const wasEmpty = empty.epoch === epoch.id;
    // No lease from before is left by then.
    if (!epoch.isDoubting || (wasEmpty && performance.now() - empty.since > 2 * this.options.leaseMs)) return 0;
    const ids = await this.epochs.unasked(epoch, BATCH);
    if (ids.length === 0) {
      if (!wasEmpty) this.empty = { epoch: epoch.id, since: performance.now() };
      return 0;
    }
    const turns = await this.epochs.turns(epoch, ids.length);
    await Promise.all(
      ids.map((id, index) => this.store.settle(id, { type: 'restored', epoch: epoch.id, afterMs: turns[index] ?? 0 })),
    );
    return ids.length;
  }
}
