/** Every status of a payout, with what it says. Finals never change by themselves. */
export const PAYOUT_STATUSES = [
  /** Accepted and committed; no attempt could have reached the provider. */
  'queued',
  /** One attempt holds the payout under a lease; the request may be on its way. */
  'sending',
  /** The provider has it and has not decided. */
  'wait',
  /** The provider may or may not have it. Only evidence or a person ends this; time never does. */
  'unknown',
  /** Final: the provider paid. */
  'paid',
  /** Final: the provider cancelled. */
  'cancel',
  /** Final: the provider failed to pay. */
  'fail',
  /** Final: refused with the documented 400, and the status call confirmed that it does not exist. */
  'rejected',
  /** Final: taken back before it was ever sent. */
  'withdrawn',
] as const;

/** One of `PAYOUT_STATUSES`. */
export type PayoutStatus = (typeof PAYOUT_STATUSES)[number];

/**
 * Which status may follow which. `queued` may go straight to a provider's status: a database restored from a backup
 * can hold a payout as queued that the provider already has, and that must stop it from being sent again. It goes to
 * `unknown` where the status call has to confirm that.
 */
export const TRANSITIONS: Readonly<Record<PayoutStatus, readonly PayoutStatus[]>> = {
  queued: ['sending', 'withdrawn', 'unknown', 'wait', 'paid', 'cancel', 'fail'],
  sending: ['queued', 'wait', 'unknown', 'paid', 'cancel', 'fail'],
  wait: ['paid', 'cancel', 'fail'],
  unknown: ['queued', 'wait', 'paid', 'cancel', 'fail', 'rejected'],
  paid: [],
  cancel: [],
  fail: [],
  rejected: [],
  withdrawn: [],
};

/** Whether the payout has ended. */
export function isFinal(status: PayoutStatus): boolean {
  return TRANSITIONS[status].length === 0;
}

export function mayFollow(from: PayoutStatus, to: PayoutStatus): boolean {
  return TRANSITIONS[from].includes(to);
}
