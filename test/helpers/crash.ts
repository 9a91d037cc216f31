import type { AliKassaOptions } from '../../src/alikassa.options.js';
import type { SimulatorOptions } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, type TestSurroundings } from './application.js';
import { DatabaseProxy } from './database.proxy.js';
import { startHostProcess, type HostProcess } from './host.js';
import { payload } from './payload.js';
import { until } from './until.js';

interface PayoutRow {
  id: string;
  status: string;
  attention: string[];
  possibly_sent: boolean;
}

/** One payout whose process is killed on the way, and another process that takes over. */
export class CrashedPayout {
  private process?: HostProcess;
  private isDetached = false;

  private constructor(
    readonly surroundings: TestSurroundings,
    private readonly proxy: DatabaseProxy,
  ) {}

  static async prepare(
    changes: Partial<AliKassaOptions> = {},
    simulator: Partial<SimulatorOptions> = {},
  ): Promise<CrashedPayout> {
    const options = { timeoutMs: 3_000, leaseMs: 3_500, rejectAfterMs: 300, ...changes };
    const surroundings = await prepare({ options, simulator });
    return new CrashedPayout(surroundings, await DatabaseProxy.start(surroundings.database.url));
  }

  /** Starts a process. @param changes of the options, e.g. another address of the provider. @param env its variables. */
  async start(changes: Partial<AliKassaOptions> = {}, env?: Record<string, string>): Promise<void> {
    const { port: first } = this.surroundings;
    const options = { ...this.surroundings.options, ...changes };
    // The process before it may still be there, stopped.
    const port = this.isDetached ? await freePort() : first;
    this.process = await startHostProcess({ databaseUrl: this.proxy.url, port, options, env });
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.process?.kill(signal);
  }

  /** Leaves the process to the caller, so that another one can be started beside it. */
  detach(): HostProcess {
    const { process } = this;
    if (!process) throw new Error('There is no process.');
    this.process = undefined;
    this.isDetached = true;
    return process;
  }

  /**
   * Brings the payout to the moment after `sending` was committed and before its socket opens: Postgres has said so, and
   * the worker does not hear it yet.
   * @returns lets it hear.
   */
  async stopBeforeSending(): Promise<() => void> {
    const held = this.proxy.hold(/UPDATE "alikassa_payouts"[^]*claimed/);
    await this.create();
    const goOn = await held;
    await this.untilStatus('sending');
    return goOn;
  }

  /**
   * Stops the process with the provider's answer in its hands: the database has not taken it, and it is about to try again.
   * @returns the process, left to the caller.
   */
  async stopWithItsAnswer(): Promise<HostProcess> {
    // Each try comes twice as late as the one before: the last pause is long enough to be hit.
    const tries = Array.from({ length: 5 }, () =>
      this.proxy.cut({ statement: /UPDATE "alikassa_payouts"[^]*submission/, lost: 'request' }),
    );
    await this.create();
    await Promise.all(tries);
    const stopped = this.detach();
    await stopped.kill('SIGSTOP');
    return stopped;
  }

  /** Asks for the payout, as a client that repeats itself would. @returns the HTTP status, 0 if the process died. */
  async create(order_id = 'crash'): Promise<number> {
    const body = JSON.stringify(payload({ order_id }));
    const headers = { 'content-type': 'application/json' };
    const answer = fetch(`${this.process?.url}/alikassa/payouts`, { method: 'POST', headers, body });
    return answer.then(
      ({ status }) => status,
      () => 0,
    );
  }

  /** A person says that the provider never got it. */
  async resubmit(): Promise<void> {
    await this.resolve('resubmit');
  }

  /** A person decides. */
  async resolve(outcome: string): Promise<void> {
    const { id } = await this.row();
    const body = JSON.stringify({ outcome, reason: 'support: never arrived' });
    const url = `${this.process?.url}/alikassa/payouts/${id}`;
    const seen = (await fetch(url)).headers.get('etag') ?? '';
    const headers = { 'content-type': 'application/json', 'if-match': seen };
    const { status } = await fetch(`${url}/resolve`, { method: 'POST', headers, body });
    if (status !== 200) throw new Error(`The decision was answered with ${status}.`);
  }

  async rows(): Promise<PayoutRow[]> {
    const sql = 'SELECT id, status, attention, possibly_sent FROM alikassa_payouts ORDER BY seq';
    const { rows } = await this.surroundings.database.pool.query<
      Omit<PayoutRow, 'attention'> & { attention: string | null }
    >(sql);
    return rows.map((row) => ({ ...row, attention: row.attention?.split(' ') ?? [] }));
  }

  async row(): Promise<PayoutRow> {
    const [row] = await this.rows();
    if (!row) throw new Error('There is no payout.');
    return row;
  }

  async untilStatus(status: string): Promise<void> {
    await until(async () => (await this.rows())[0]?.status === status).catch(async (cause: unknown) => {
      throw new Error(`It is not ${status}: ${(await this.history()).join(', ')}`, { cause });
    });
  }

  /** Waits until twice the lease of the first attempt has passed, by the database's clock. */
  async untilTwiceTheLease(): Promise<void> {
    const { database, options } = this.surroundings;
    const sql = `SELECT FROM alikassa_payout_events
      WHERE type = 'claimed' AND attempt = 1 AND clock_timestamp() > created_at + 2 * $1 * interval '1 ms'`;
    await until(async () => (await database.pool.query(sql, [options.leaseMs])).rowCount === 1);
  }

  async revision(): Promise<unknown> {
    return (await this.surroundings.database.pool.query('SELECT revision FROM alikassa_payouts')).rows[0];
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
    await until(async () => (await this.row()).attention.includes('not_found'));
    expect(await this.row()).toMatchObject({ status: 'unknown', possibly_sent: true });
    expect(this.accepted).toBe(0);
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
    await this.proxy.stop();
  }
}
