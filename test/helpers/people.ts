import { StaleRevisionError } from '../../src/alikassa.errors.js';
import type { ResolvePayoutDto } from '../../src/payouts/payout.dto.js';
import type { Payout } from '../../src/payouts/payout.entity.js';
import type { PayoutService } from '../../src/payouts/payout.service.js';
import type { TestApplication } from './application.js';
import { TOKENS, type ReferenceApplication } from './reference.js';

/** Decides on the payout as it is now, as a person who looks again where it has just changed. */
export async function decideNow(payouts: PayoutService, id: string, decision: ResolvePayoutDto): Promise<Payout> {
  return onceSeen(payouts, id, (revision) => payouts.resolve(id, decision, { revision, actor: 'tester' }));
}

/** Takes the payout back as it is now. */
export async function withdrawNow(payouts: PayoutService, id: string): Promise<Payout> {
  return onceSeen(payouts, id, (revision) => payouts.withdraw(id, { revision, actor: 'tester' }));
}

async function onceSeen(
  payouts: PayoutService,
  id: string,
  decide: (revision: number) => Promise<Payout>,
): Promise<Payout> {
  for (;;) {
    try {
      return await decide((await payouts.find(id)).revision);
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error;
    }
  }
}

/** The payout's ETag as it is now: a person's decision by REST names it as `If-Match`. */
export async function etagOf(host: Pick<TestApplication, 'http'>, id: string): Promise<string> {
  const { headers } = await host.http().get(`/alikassa/payouts/${id}`).expect(200);
  return String(headers['etag']);
}

/** The same for the reference application, as headers. @param path of the payout. */
export async function seenBy(host: Pick<ReferenceApplication, 'call'>, path: string): Promise<{ 'if-match': string }> {
  const { headers } = await host.call(TOKENS.all.text, 'GET', path);
  return { 'if-match': headers.get('etag') ?? '' };
}
