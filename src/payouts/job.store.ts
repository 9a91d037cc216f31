import type { DataSource } from 'typeorm';
import { mappedDatabaseError } from './database.errors.js';
import { unlockStaleJobsSql } from './payout.queue.js';

/** The job engine's tables, as far as they need tidying. */
export class JobStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly schema: string,
  ) {}

  /**
   * Frees the jobs of every engine that has held one for longer than any task takes: its process is dead, or was
   * stopped. Run twice they are harmless, since a job only triggers.
   * @throws DatabaseUnavailableError
   */
  async unlockHeldFor(ms: number): Promise<void> {
    await this.dataSource.query(unlockStaleJobsSql(this.schema), [ms]).catch((error: unknown) => {
      throw mappedDatabaseError(error);
    });
  }
}
