/** One answer to a client's create. */
export interface Acknowledgement {
  /** The payout that it named. */
  id: string;
  /** 201. */
  isNew: boolean;
  /** Given right before a promotion: the database may have gone back behind it. */
  mayBeForgotten: boolean;
}

/** What the provider answered to one request that submitted an order; 0 where no answer was given. */
export interface Submission {
  status: number;
  /** Its claim may be one that the database has forgotten. */
  mayBeForgotten: boolean;
}

/** What a person decided on, and what was answered each time it was sent. */
export interface BookedDecision {
  payoutId: string;
  orderId: string;
  outcome: 'fail' | 'resubmit' | 'acknowledge' | 'withdraw';
  /** The one that was seen. */
  revision: number;
  /** Its own, so that its event is known by it. */
  reason: string;
  /** Seen right before a promotion: the database may have forgotten the payout. */
  isOfForgotten: boolean;
  /** 0 where none came. */
  answers: { status: number; mayBeForgotten: boolean }[];
}

/** A row of the database. */
export interface BookedPayout {
  id: string;
  orderId: string;
  status: string;
  attempt: number;
  possiblySent: boolean;
  /** Names with a space between them. */
  attention: string | null;
  providerId: string | null;
  /** Decimal string. */
  paymentAmount: string | null;
  /** Whether its next job is planned. */
  isScheduled: boolean;
}

export interface BookedEvent {
  payoutId: string;
  type: string;
  from: string | null;
  to: string;
  /** Of a submission: what became of it; empty otherwise. */
  outcome: string;
  /** Of a person's decision: why; empty for others. */
  reason: string;
  /** The payout's after it. */
  revision: number;
}

export interface ProviderPayout {
  id: string;
  orderId: string;
  status: string;
  /** Decimal string. */
  paymentAmount: string;
}

/** Both sides of the ledger at the end of a run; records are by order_id. */
export interface Books {
  orders: string[];
  /** How often an asynchronous standby was promoted. */
  promotions: number;
  acknowledged: Record<string, Acknowledgement[]>;
  refused: { orderId: string; why: string }[];
  decisions: BookedDecision[];
  payouts: BookedPayout[];
  /** In the order of their ids. */
  events: BookedEvent[];
  /** Locked ones. */
  jobs: { name: string; isWanted: boolean; lockedSeconds: number }[];
  /** Calls of the host's handler for `paid`; one event may be told more than once. */
  handled: { payoutId: string; eventId: string }[];
  submissions: Record<string, Submission[]>;
  /** How often the provider has accepted the order. */
  accepted: Record<string, number>;
  provider: ProviderPayout[];
  /** What is wrong with the processes, in words. */
  faults: string[];
}

export interface Violation {
  rule: string;
  /** Missing where it concerns no single payout. */
  orderId: string | undefined;
  detail: string;
}

export interface CountLine {
  what: string;
  clients: number | null;
  database: number | null;
  provider: number | null;
}

export const LOCKED_SECONDS: number;
export function alarmsIn(attention: string | null): string[];
export function checkLedger(books: Books): Violation[];
export function countLedger(books: Books): CountLine[];
