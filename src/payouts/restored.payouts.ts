import type { DatabaseEpochs } from './database.epochs.js';
import type { PayoutStore } from './payout.store.js';

const BATCH = 500;

/** Brings the open payouts of a database that went back to be asked about, in portions. */
export class RestoredPayouts {
  /** Epoch in which no payout is left to be brought; those that are created in it are found when they are claimed. */
  private doneIn = 0;

  constructor(
    private readonly store: Pick<PayoutStore, 'settle'>,
    private readonly epochs: DatabaseEpochs,
  ) {}

  /**
   * Recognises a change of the database, and has the next portion of its open payouts asked about.
   * @returns of how many payouts; 0 when all of them are.
   * @throws DatabaseUnavailableError
   */
  async bring(): Promise<number> {
    const epoch = await this.epochs.recognise();
    if (!epoch.isDoubting || epoch.id === this.doneIn) return 0;
    const ids = await this.epochs.unasked(epoch, BATCH);
    if (ids.length === 0) {
      this.doneIn = epoch.id;
      return 0;
    }
    const turns = await this.epochs.turns(epoch, ids.length);
    await Promise.all(
      ids.map((id, index) => this.store.settle(id, { type: 'restored', epoch: epoch.id, afterMs: turns[index] ?? 0 })),
    );
    return ids.length;
  }
}
