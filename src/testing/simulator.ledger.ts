import type { ProviderStatus } from '../provider/provider.types.js';

/** An account that the simulator knows, and what it holds. */
export interface SimulatedAccount {
  uuid: string;
  currency: string;
  /** Decimal string; default "1000000.00". */
  balance?: string;
}

/** A payout as the simulated provider keeps it. The recipient's number is not kept. */
export interface SimulatedPayout {
  id: number;
  order_id: string;
  account: string;
  amount: string;
  service: string;
  card_mask: string;
  payment_status: ProviderStatus;
  payment_amount: string;
  commission_amount: string;
  is_partial_payment: boolean;
  /** Where its notification goes. */
  notificationUrl: string | null;
}

interface Balance {
  currency: string;
  cents: bigint;
  heldCents: bigint;
}

const FIRST_ID = 100_001_524;

/** What the simulated provider has on its books. Sums are whole cents, so none is ever rounded by a float. */
export class SimulatorLedger {
  readonly payouts = new Map<string, SimulatedPayout>();
  private readonly balances = new Map<string, Balance>();
  private readonly acceptances = new Map<string, number>();
  constructor(
    accounts: readonly SimulatedAccount[],
    private nextId = FIRST_ID,
  ) {
    for (const { uuid, currency, balance = '1000000.00' } of accounts) {
      this.balances.set(uuid.toLowerCase(), { currency, cents: toCents(balance), heldCents: 0n });
    }
  }

  /** Times that a submission of this order was accepted: more than one is a payout paid twice. */
  accepted(orderId: string): number {
    return this.acceptances.get(orderId) ?? 0;
  }

  balanceOf(account: string): Balance | undefined {
    return this.balances.get(account.toLowerCase());
  }

  byId(id: number): SimulatedPayout | undefined {
    return [...this.payouts.values()].find((payout) => payout.id === id);
  }

  accept(
    payout: Omit<
      SimulatedPayout,
      'id' | 'payment_status' | 'payment_amount' | 'commission_amount' | 'is_partial_payment'
    >,
  ): SimulatedPayout {
    const cents = toCents(payout.amount);
    const accepted: SimulatedPayout = {
      ...payout,
      id: this.nextId++,
      payment_status: 'wait',
      payment_amount: '0.00',
      commission_amount: fromCents(cents / 100n),
      is_partial_payment: false,
    };
    this.payouts.set(payout.order_id, accepted);
    this.acceptances.set(payout.order_id, this.accepted(payout.order_id) + 1);
    this.change(payout.account, -cents, cents);
    return accepted;
  }

  settle(payout: SimulatedPayout, status: Exclude<ProviderStatus, 'wait'>, isPartial = false): void {
    const cents = toCents(payout.amount);
    const paid = status !== 'paid' ? 0n : isPartial ? (cents * 9n) / 10n : cents;
    payout.payment_status = status;
    payout.payment_amount = fromCents(paid);
    payout.is_partial_payment = isPartial;
    this.change(payout.account, cents - paid, -cents);
  }

  private change(account: string, cents: bigint, heldCents: bigint): void {
    const balance = this.balanceOf(account);
    if (!balance) throw new RangeError('The account is not one of the simulator.');
    balance.cents += cents;
    balance.heldCents += heldCents;
  }
}

/** "10.5" -> 1050n */
export function toCents(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.');
  return BigInt(whole + fraction.padEnd(2, '0').slice(0, 2));
}

export function fromCents(cents: bigint): string {
  const digits = cents.toString().padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
