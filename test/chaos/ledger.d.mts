/** What a client was told of one order. */
export interface Acknowledged {
  /** Every payout id that an answer named. */
  ids: string[];
  /** Answers 201. */
  created: number;
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
  acknowledged: Record<string, Acknowledged>;
  refused: { orderId: string; why: string }[];
  payouts: BookedPayout[];
  /** In the order of their ids. */
  events: BookedEvent[];
  /** Locked ones. */
  jobs: { name: string; isWanted: boolean; lockedSeconds: number }[];
  /** Calls of the host's handler for `paid`; one event may be told more than once. */
  handled: { payoutId: string; eventId: string }[];
  /** Answers to every request that submitted the order; 0 where none was given. */
  submissions: Record<string, number[]>;
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
