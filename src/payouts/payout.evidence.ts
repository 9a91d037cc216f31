import type { PauseReason } from './account.pause.js';
import type { Alarm } from './attention.js';
import type {
  CreatePayoutAnswer,
  NeverSent,
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
  service?: string;
  /** The recipient's number as the provider masks it. */
  mask?: string;
}

/** What a person's decision carries, whatever it is. */
interface Decided {
  /** Id of the decision: the same one is made once, however often it is sent. */
  decision: string;
  /** The payout's revision that the person saw. */
  revision: number;
  actor?: string | undefined;
}

/** What the provider said when it was asked right before a person's decision. */
export interface Asked {
  /** `not_found`, or why it could not be asked. */
  asked?: string | undefined;
  /** The person decides although the provider could not be asked. */
  unasked?: true | undefined;
}

/** Positive word about an id that belongs to another payout of ours counts as a conflict. */
interface Foreign {
  isForeignId?: boolean;
}

/** Everything that may move a payout; `settle()` takes nothing else. */
export type Evidence =
  /** A worker takes the payout for one attempt. */
  | { type: 'claimed'; token: string }
  /** The connection for an attempt could not be opened, so that there was none: nothing was claimed. */
  | { type: 'unopened'; outcome: NeverSent }
  /** What became of that attempt. */
  | ({
      type: 'submission';
      attempt: number;
      token: string;
      outcome: ProviderOutcome<CreatePayoutAnswer>;
    } & Foreign)
  /** What the status call answered; with an actor, a person asked for it. */
  | ({ type: 'check'; outcome: ProviderOutcome<PayoutStatusAnswer>; actor?: string | undefined } & Foreign)
  /** A notification whose signature was verified. */
  | ({ type: 'notification'; facts: ProviderFacts } & Foreign)
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
  | { type: 'fault'; attention: Alarm }
  /** A payout is taken back before it was sent. */
  | ({ type: 'withdrawal' } & Decided)
  /** A person decides on a payout that is held. */
  | ({ type: 'person'; outcome: 'resubmit' | 'paid' | 'fail'; reason: string } & Decided & Asked)
  /** A person has looked at these alarms and closes them. */
  | ({ type: 'person'; outcome: 'acknowledge'; reason: string; alarms: readonly Alarm[] } & Decided);
