import type { DataSource } from 'typeorm';
import { query } from './database.statements.js';
import { unlockStaleJobsSql, type JobQueue } from './payout.queue.js';

/** The job engine's tables, as far as they need tidying. */
export class JobStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly queue: JobQueue,
  ) {}

  /**
   * Frees the jobs of every engine of the instance that has held one for longer than any task takes: its process is dead,
   * or was stopped. Run twice they are harmless, since a job only triggers.
   * @throws DatabaseUnavailableError
   */
  async unlockHeldFor(ms: number): Promise<void> {
    await query(this.dataSource, unlockStaleJobsSql(this.queue), [ms]);
  }
}
