import type { SimulatedPayout } from './simulator.ledger.js';

/**
 * What the simulated provider does with a payout:
 * - `paid`, `cancel`, `fail`: it becomes that, after `settleAfterMs`
 * - `partial`: paid, but only nine tenths of the amount
 * - `hold`: it stays `wait` until the test settles it
 * - `refuse`: the documented 400; nothing is recorded
 * - `accept_then_500`: it is recorded and paid, but the answer is 500
 */
export type SimulatedFate = 'paid' | 'cancel' | 'fail' | 'partial' | 'hold' | 'refuse' | 'accept_then_500';

/** What becomes of a payout, decided when it is created. */
export type SimulatorRules = (payout: Pick<SimulatedPayout, 'order_id' | 'amount' | 'service'>) => SimulatedFate;

const FATE_BY_FRACTION: Readonly<Record<string, SimulatedFate>> = {
  '01': 'refuse',
  '02': 'fail',
  '03': 'cancel',
  '04': 'hold',
  '05': 'partial',
  '06': 'accept_then_500',
};

/**
 * The default rules: by the amount's cents. `.01` refused, `.02` fail, `.03` cancel, `.04` stays wait, `.05` paid in
 * part, `.06` accepted but answered with 500; anything else is paid.
 */
export const rulesByAmount: SimulatorRules = ({ amount }) => FATE_BY_FRACTION[amount.split('.')[1] ?? ''] ?? 'paid';
