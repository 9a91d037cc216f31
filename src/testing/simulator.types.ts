import type { ProviderStatus } from '../provider/provider.types.js';
import type { SimulatorRule, SimulatorVerdict } from './simulator.rules.js';

/** The four calls of the payout API: `/v1/payout`, `/v1/payout/status`, `/v1/account/balance`, `/v1/account/info`. */
export type SimulatorCall = 'payout' | 'status' | 'balance' | 'info';

export interface SimulatorAccount {
  uuid: string;
  /** ISO 4217 code, upper-case. On `EUR` the five fields of `extra` are required. */
  currency: string;
  /** Decimal with at most two places. Default `1000000.00`. */
  balance?: string;
}

/** What the simulator is told. Times are milliseconds. */
export interface SimulatorOptions {
  /** `public.pem` of the payout certificate: verifies requests. */
  payoutPublicKey: string;
  /** Private key, unencrypted PEM, that signs notifications. */
  notificationPrivateKey: string;
  accounts: SimulatorAccount[];
  /** The one digest that requests may be signed with. Default `sha1`. */
  digest?: 'sha1' | 'sha256';
  /** Digest of notification signatures; the documents name both. Default `sha1`. */
  notificationDigest?: 'sha1' | 'sha256';
  /** Default 0: a free port. A simulator that is started again takes the port it had. */
  port?: number;
  /** Default `127.0.0.1`. */
  host?: string;
  /** From the acceptance of a payout to its final status. Default 50. */
  settleAfterMs?: number;
  /** Added before every answer. Default 0. */
  latencyMs?: number;
  /** The endpoint that every `notification_endpoint_id` stands for; without it such a payout is not notified. */
  notificationUrl?: string;
  /** Repeats of a notification that was not answered with 2xx. Default 3. */
  notificationRetries?: number;
  /** Pause before each repeat. Default 200. */
  notificationRetryMs?: number;
  /** What becomes of a payout. Default: by the amount, see `defaultRules`. */
  rules?: SimulatorRule;
  /**
   * `true`: a repeated order_id is accepted and pays again, as the provider's own sample of a history suggests that it
   * may (PROVIDER.md, Create a payout). Makes a double submission visible as `accepted(orderId) === 2`. Default false.
   */
  acceptRepeatedOrders?: boolean;
  /** Serves https instead of http. PEM. */
  tls?: { key: string; cert: string };
}

/** A payout as the simulator keeps it: the provider's names, amounts as decimal strings, no full card number. */
export interface SimulatedPayout {
  readonly id: number;
  readonly order_id: string;
  readonly account: string;
  readonly currency: string;
  readonly service: string;
  readonly amount: string;
  /** The recipient with all but the first six and last four digits hidden. */
  readonly card_mask: string;
  readonly notification_endpoint_id?: number;
  readonly notification_endpoint_url?: string;
  /** What the rules decided when it was accepted. */
  readonly verdict: SimulatorVerdict;
  status: ProviderStatus;
  payment_amount: string;
  /** 1 % of `payment_amount`. */
  commission_amount: string;
  /** What the account pays: `payment_amount` and `commission_amount`. */
  account_payment_amount: string;
  is_partial_payment: boolean;
  RRN: string | null;
  account_old_balance: string | null;
  account_new_balance: string | null;
}

/** One request that arrived, on whatever path. */
export interface SimulatedRequest {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The body's order_id; null where it names none. */
  readonly orderId: string | null;
  /** The HTTP status that was answered; null while, or if, none was. */
  status: number | null;
}

/**
 * One create request that arrived. `accepted`: a payout was made of it. `refused`: the documented 400, or a header or
 * signature that did not pass. `lost`: a scripted fault kept it from being looked at.
 */
export interface SimulatedSubmission {
  readonly orderId: string | null;
  readonly account: string | null;
  readonly at: number;
  readonly outcome: 'accepted' | 'refused' | 'lost';
}

/** One notification that was sent, a repeat included. */
export interface SentNotification {
  readonly orderId: string;
  readonly paymentStatus: string;
  readonly at: number;
  /** What the receiver answered; null: the connection failed. */
  readonly httpStatus: number | null;
}

/** An answer about to be sent. A string or a Buffer goes out as it is, anything else as json_encode writes it. */
export interface SimulatedAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}
