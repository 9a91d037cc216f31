import type { ResolvePayoutDto } from '../../src/payouts/payout.dto.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { PayoutService } from '../../src/payouts/payout.service.js';

/** Decides on the payout as it is now, as a person who has just looked at it. */
export async function decideNow(payouts: PayoutService, id: string, decision: ResolvePayoutDto): Promise<Payout> {
  const { revision } = await payouts.find(id);
  return payouts.resolve(id, decision, { revision, actor: 'tester' });
}

/** Takes the payout back as it is now. */
export async function withdrawNow(payouts: PayoutService, id: string): Promise<Payout> {
  const { revision } = await payouts.find(id);
  return payouts.withdraw(id, { revision, actor: 'tester' });
}
