import type { Evidence } from '../../src/payouts/payout.evidence.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { CreatePayoutAnswer, PayoutStatusAnswer, ProviderOutcome } from '../../src/provider/provider.types.js';
import { forbiddenMove, violation } from './invariants.js';
import type { Machine } from './machine.js';
import type { ModelProvider, WireRequest } from './model.provider.js';

/** Where one of the workers is with its attempt. */
export type Attempt = { attempt: number; token: string } & (
  | { at: 'claimed'; claimedAt: number }
  | { at: 'sent'; request: WireRequest }
  | { at: 'answered'; outcome: ProviderOutcome<CreatePayoutAnswer> }
);

/** One call takes no longer; after a longer stop a worker does not send any more. */
export const TIMEOUT_MS = 30_000;

/** The payout, the provider, two workers and two status calls that are under way. */
export class World {
  readonly workers: (Attempt | null)[] = [null, null];
  readonly answers: (ProviderOutcome<PayoutStatusAnswer> | null)[] = [null, null];

  constructor(
    readonly machine: Machine,
    readonly provider: ModelProvider,
    readonly deduplicates: boolean,
  ) {}

  async settle(evidence: Evidence): Promise<boolean> {
    return this.machine.settle(evidence);
  }

  /** @throws Error that names the broken rule. */
  async check(before: Payout): Promise<void> {
    const row = await this.machine.read();
    const { provider, deduplicates } = this;
    const { onNotFound } = this.machine.policy;
    const events = await this.machine.events();
    const broken =
      forbiddenMove(before, row) ??
      this.endedUnderWay(before, row) ??
      violation({ row, events, provider, deduplicates, onNotFound });
    if (broken) {
      const steps = events.map(({ type, toStatus }) => `${type}: ${toStatus}`).join(', ');
      throw new Error(`${broken}\nhistory: ${steps}`);
    }
  }

  /** A payout does not fail while its own attempt, under a lease that holds, is on the way to the provider. */
  private endedUnderWay(before: Payout, row: Payout): string | null {
    const isUnderWay = this.workers.some(
      (work) => work?.at === 'sent' && work.request.isOnWire && work.attempt === before.attempt,
    );
    const hasFailed = row.status === 'fail' || row.status === 'cancel';
    return before.status === 'sending' && hasFailed && isUnderWay
      ? `${row.status} while its attempt is under way`
      : null;
  }
}
