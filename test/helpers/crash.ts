import { prepare, type TestSurroundings } from './application.js';
import { startHostProcess, type HostProcess } from './host.js';
import { payload } from './payload.js';
import { until } from './until.js';

/** One payout whose process is killed on the way, and another process that takes over. */
export class CrashedPayout {
  private process?: HostProcess;

  private constructor(readonly surroundings: TestSurroundings) {}

  static async prepare(): Promise<CrashedPayout> {
    return new CrashedPayout(await prepare({ options: { timeoutMs: 3_000, leaseMs: 3_500, rejectAfterMs: 300 } }));
  }

  /** Starts a process. @param baseUrl of the provider, if it is not the simulator itself. */
  async start(baseUrl = this.surroundings.simulator.url, env: Record<string, string> = {}): Promise<void> {
    const { database, options, port } = this.surroundings;
    this.process = await startHostProcess({ databaseUrl: database.url, port, options: { ...options, baseUrl }, env });
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.process?.kill(signal);
  }

  /** Asks for the payout, as a client that repeats itself would. @returns the HTTP status, 0 if the process died. */
  async create(): Promise<number> {
    const body = JSON.stringify(payload({ order_id: 'crash' }));
    const headers = { 'content-type': 'application/json' };
    const answer = fetch(`${this.process?.url}/alikassa/payouts`, { method: 'POST', headers, body });
    return answer.then(
      ({ status }) => status,
      () => 0,
    );
  }

  /** A person says that the provider never got it. */
  async resubmit(): Promise<void> {
    const { id } = await this.row();
    const body = JSON.stringify({ outcome: 'resubmit', reason: 'support: never arrived' });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${this.process?.url}/alikassa/payouts/${id}/resolve`, { method: 'POST', headers, body });
  }

  async rows(): Promise<{ id: string; status: string; attention: string | null }[]> {
    return (await this.surroundings.database.pool.query('SELECT id, status, attention FROM alikassa_payouts')).rows;
  }

  async row(): Promise<{ id: string; status: string; attention: string | null }> {
    const [row] = await this.rows();
    if (!row) throw new Error('There is no payout.');
    return row;
  }

  async untilStatus(status: string): Promise<void> {
    await until(async () => (await this.rows())[0]?.status === status);
  }

  /** Changes of status, oldest first. */
  async history(): Promise<string[]> {
    const sql = `SELECT type || ': ' || to_status AS change FROM alikassa_payout_events
      WHERE from_status IS DISTINCT FROM to_status ORDER BY id`;
    const { rows } = await this.surroundings.database.pool.query<{ change: string }>(sql);
    return rows.map(({ change }) => change);
  }

  /** How often the provider has accepted it. */
  get accepted(): number {
    return this.surroundings.simulator.accepted('crash');
  }

  /** After a crash that cannot be proven unsent, of a payout that the provider never got: a person has the last word. */
  async expectHeldForAPerson(): Promise<void> {
    await this.start();
    await until(async () => (await this.row()).attention === 'not_found');
    expect([(await this.row()).status, this.accepted]).toEqual(['unknown', 0]);
    await this.resubmit();
    await this.untilStatus('paid');
    expect(this.accepted).toBe(1);
    const before = ['created: queued', 'claimed: sending', 'lease_expired: unknown', 'person: queued'];
    expect((await this.history()).slice(0, 4)).toEqual(before);
  }

  /** After a crash of a payout that the provider has: what it says is found out. */
  async expectPaidOnce(): Promise<void> {
    await this.start();
    await this.untilStatus('paid');
    expect([(await this.rows()).length, this.accepted]).toEqual([1, 1]);
    const before = ['created: queued', 'claimed: sending', 'lease_expired: unknown'];
    expect((await this.history()).slice(0, 3)).toEqual(before);
  }

  async end(): Promise<void> {
    await this.kill('SIGTERM');
    await this.surroundings.stop();
  }
}
