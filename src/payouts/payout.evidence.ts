import type { PauseReason } from './account.pause.js';
import type {
  CreatePayoutAnswer,
  PayoutStatusAnswer,
  ProviderOutcome,
  ProviderStatus,
} from '../provider/provider.types.js';

/** What the provider says of one payout, from the status call or a notification. Amounts are decimal strings. */
export interface ProviderFacts {
  status: ProviderStatus;
  id: string;
  orderId: string;
  account?: string;
  amount?: string;
  paymentAmount?: string;
  commissionAmount?: string;
  isPartialPayment?: boolean;
}

/** Everything that may move a payout; `settle()` takes nothing else. */
export type Evidence =
  /** A worker takes the payout for one attempt. */
  | { type: 'claimed' }
  /** What became of that attempt. */
  | { type: 'submission'; attempt: number; outcome: ProviderOutcome<CreatePayoutAnswer> }
  /** What the status call answered; with an actor, a person asked for it. */
  | { type: 'check'; outcome: ProviderOutcome<PayoutStatusAnswer>; actor?: string }
  /** A notification whose signature was verified. */
  | { type: 'notification'; facts: ProviderFacts }
  /** The lease of an attempt ran out by the database's clock. */
  | { type: 'lease_expired' }
  /**
   * The database went back, in the epoch of this number; the provider is asked about the payout after so long. With `isSent`
   * an attempt is known that the row does not know, and that may have been sent.
   */
  | { type: 'restored'; epoch: number; afterMs: number; isSent?: boolean }
  /** The account of a queued payout is paused for so long. */
  | { type: 'paused'; reason: PauseReason; afterMs: number }
  /** The payout cannot be sent as it is stored. */
  | { type: 'fault'; attention: string }
  /** The host takes a payout back before it was sent. */
  | { type: 'withdrawal'; actor?: string }
  /** A person decides on a payout that is held. */
  | { type: 'person'; outcome: 'resubmit' | 'paid' | 'fail'; reason: string; actor?: string };
