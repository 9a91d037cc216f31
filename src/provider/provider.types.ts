/** Wire shapes, spelled as the provider spells them (its payout API). Amounts are decimal strings. */

export const PROVIDER_STATUSES = ['wait', 'paid', 'cancel', 'fail'] as const;
/** A payout's status in the provider's words. */
export type ProviderStatus = (typeof PROVIDER_STATUSES)[number];

/** `extra` of a create request; all five are required on an EUR account. */
export interface ProviderExtra {
  card_exp_year?: string;
  card_exp_month?: string;
  card_holder?: string;
  card_country?: string;
  card_recipient_birth_date?: string;
}

/** Body of `POST /v1/payout`, in the order in which it is encoded and signed. */
export interface CreatePayoutRequest {
  amount: string;
  number: string;
  order_id: string;
  service: string;
  notification_endpoint_id?: number;
  notification_endpoint_url?: string;
  extra?: ProviderExtra;
  customer_phone?: string;
  customer_email?: string;
  customer_code?: string;
  customer_first_name?: string;
  customer_last_name?: string;
}

/** `id` keeps every digit of PHP's 64-bit integer, so it is a string here. */
export interface CreatePayoutAnswer {
  payment_status: ProviderStatus;
  id: string;
  /** Not documented; checked where the provider echoes it. */
  order_id?: string;
}

/** Answer of `POST /v1/payout/status`; what the provider left out or sent as null is absent. */
export interface PayoutStatusAnswer {
  payment_status: ProviderStatus;
  id: string;
  order_id: string;
  amount?: string;
  payment_amount?: string;
  is_partial_payment?: boolean;
  account_payment_amount?: string;
  commission_amount?: string;
  service_code?: string;
  card_mask?: string;
  RRN?: string;
  account_old_balance?: string;
  account_new_balance?: string;
}

/** Answer of `POST /v1/account/balance`; decimal strings in the account's currency. */
export interface BalanceAnswer {
  currency: string;
  balance: string;
  hold?: string;
  rolling_reserve?: string;
  pending_payouts?: string;
}

/** A method of payment or payout as the provider offers it to an account. */
export interface ProviderMethod {
  method: string;
  currency: string;
  service_code: string;
  status: string;
}

/** What an account may do, as `POST /v1/account/info` answers. */
export interface AccountInfoAnswer {
  is_allowed_payment: boolean;
  is_allowed_payout: boolean;
  payments: ProviderMethod[];
  payouts: ProviderMethod[];
}

/** Fields of a verified notification; `null` where the parameter was absent. */
export interface NotificationFields {
  type: string;
  /** Every digit of PHP's 64-bit integer. */
  id: string;
  order_id: string;
  payment_status: string;
  amount: string | null;
  payment_amount: string | null;
  commission_amount: string | null;
  is_partial_payment: string | null;
  account: string;
  service: string | null;
  desc: string | null;
}

/** How far the socket of a request got; what it proves is in `transport.ts`. */
export type SocketPhase = 'none' | 'connected' | 'secured';

/**
 * What became of one call. Nothing the network or the provider does is thrown.
 * - `ok`: a documented 200.
 * - `refused`: the documented 400, with the fields it names. For a create it is not final by itself.
 * - `not_found`: (status call only) 404, or a 400 whose errors name `order_id` or `id`.
 * - `unauthorized`: 401 or 403: every further call of the account would fail the same way.
 * - `rate_limited`: 429; `retryAfterMs` where the provider gave Retry-After.
 * - `never_sent`: proven by the socket's phase: the provider cannot have seen it.
 * - `unclear`: anything else: the provider may or may not have acted.
 */
export type ProviderOutcome<T> = OutcomeTrace &
  (
    | { kind: 'ok'; value: T }
    | { kind: 'refused'; message: string; errors: Record<string, string[]> }
    | { kind: 'not_found' }
    | { kind: 'unauthorized' }
    | { kind: 'rate_limited'; retryAfterMs?: number }
    | { kind: 'never_sent' }
    | { kind: 'unclear' }
  );

/** What became of a call that is proven never sent. */
export type NeverSent = OutcomeTrace & { kind: 'never_sent' };

export interface OutcomeTrace {
  /** One short machine-readable word for logs and events, e.g. `http_502`, `ECONNREFUSED`, `deadline`, `not_json`. */
  reason: string;
  /** Absent where no HTTP answer was read. */
  httpStatus?: number;
  phase: SocketPhase;
  durationMs: number;
}
