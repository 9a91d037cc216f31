import type { AccountPauses, StandingPause } from '../payouts/account.pauses.js';
import type { PauseReason } from '../payouts/account.pause.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { AliKassaClient } from '../provider/provider.client.js';

/** Why a payout has to wait, and for how long. */
export interface ClosedGate {
  reason: PauseReason;
  afterMs: number;
}

/**
 * Holds back what the provider would turn down as it did the last request of the account. When a pause is over, one
 * payout goes first; after 401 or 403 a question for the balance goes before it, so that no payout is spent on a key
 * that still fails.
 */
export class DispatchGate {
  constructor(
    private readonly pauses: AccountPauses,
    private readonly client: AliKassaClient,
    private readonly options: Pick<ResolvedOptions, 'leaseMs' | 'pauseMs'>,
  ) {}

  /**
   * @param pause of the account as it was just read; null where it has none.
   * @returns null where the payout may be sent.
   */
  async check(account: string, pause: StandingPause | null): Promise<ClosedGate | null> {
    if (!pause) return null;
    if (pause.remainingMs > 0) return { reason: pause.reason, afterMs: pause.remainingMs };
    // What becomes of the one that tries is known within its lease.
    if (!(await this.pauses.takeProbe(account, this.options.leaseMs))) return this.checkAgain(account);
    if (pause.reason === 'rate_limited') return null;
    const outcome = await this.client.balance(account);
    if (outcome.kind === 'ok') return null;
    const { pauseMs } = this.options;
    await this.pauses.apply(account, { to: 'paused', reason: pause.reason, forMs: pauseMs, isExact: false });
    return this.checkAgain(account);
  }

  private async checkAgain(account: string): Promise<ClosedGate | null> {
    return this.check(account, await this.pauses.current(account));
  }
}
