import type { ProviderFacts } from '../../src/payouts/payout.evidence.js';
import type {
  CreatePayoutAnswer,
  PayoutStatusAnswer,
  ProviderOutcome,
  ProviderStatus,
} from '../../src/provider/provider.types.js';

export const ORDER = 'model-order';
export const AMOUNT = '12.00';

/** What the provider does with a submission and what the sender gets to see of it. */
export interface SubmitFate {
  /** `late`: the sender has its answer before the provider acts; `none`: the request never leaves. */
  acts: 'accepts' | 'ignores' | 'late' | 'none';
  answer: 'ok' | 'refused' | 'order_taken' | 'unauthorized' | 'rate_limited' | 'unclear' | 'never_sent';
}

/** What becomes of a status call; `lagging`: a replica that has not seen a recent acceptance yet. */
export type StatusFate =
  'true' | 'lagging' | 'other_amount' | 'other_order' | 'unclear' | 'unauthorized' | 'rate_limited' | 'never_sent';

export interface ProviderRecord {
  id: string;
  status: ProviderStatus;
  acceptedAt: number;
}

export interface Said {
  id: string;
  status: ProviderStatus;
}

/** A request that has left and that the provider has neither accepted nor turned down. */
export interface WireRequest {
  isOnWire: boolean;
}

const TRACE = { reason: 'model', phase: 'secured' as const, durationMs: 1 };
const FIRST_ID = 100_000_000;

/** The provider's side of one order: its records are what was accepted, so more than one is a payout paid twice. */
export class ModelProvider {
  readonly records: ProviderRecord[] = [];
  /** Every state that it ever had to tell; a notification may bring any of them at any time, and repeatedly. */
  readonly said: Said[] = [];
  readonly onWire: WireRequest[] = [];
  /** Requests that left the sender, whatever became of them. */
  sent = 0;
  /** A final status was overturned by the provider itself. */
  hasOverturned = false;

  constructor(
    private readonly deduplicates: boolean,
    /** How long a status call may miss what was accepted. */
    private readonly lagMs: number,
    private readonly orderId: string = ORDER,
    private readonly firstId: number = FIRST_ID,
  ) {}

  send(): WireRequest {
    const request = { isOnWire: true };
    this.sent += 1;
    this.onWire.push(request);
    return request;
  }

  /** @returns the new record; null where a request was turned down or is gone. */
  act(request: WireRequest, accepts: boolean, now: number): ProviderRecord | null {
    if (!request.isOnWire) return null;
    request.isOnWire = false;
    this.onWire.splice(this.onWire.indexOf(request), 1);
    if (!accepts || (this.deduplicates && this.records.length > 0)) return null;
    const record: ProviderRecord = {
      id: String(this.firstId + this.records.length),
      status: 'wait',
      acceptedAt: now,
    };
    this.records.push(record);
    this.said.push({ id: record.id, status: 'wait' });
    return record;
  }

  /** An open record ends; one that has failed may still turn out to be paid. */
  end(at: number, status: 'paid' | 'cancel' | 'fail'): void {
    const record = this.records[at % Math.max(1, this.records.length)];
    if (!record) return;
    if (record.status !== 'wait') {
      if (record.status === 'paid' || status !== 'paid') return;
      this.hasOverturned = true;
    }
    record.status = status;
    this.said.push({ id: record.id, status });
  }

  /** Which answer the sender of an acted request gets. */
  answerTo(fate: SubmitFate, record: ProviderRecord | null): SubmitFate['answer'] {
    return fate.answer === 'ok' && !record ? 'order_taken' : fate.answer;
  }

  find(providerId: string | null, fate: StatusFate, now: number): ProviderRecord | undefined {
    const record = providerId ? this.records.find(({ id }) => id === providerId) : this.records.at(0);
    return record && fate === 'lagging' && now < record.acceptedAt + this.lagMs ? undefined : record;
  }

  status(providerId: string | null, fate: StatusFate, now: number): ProviderOutcome<PayoutStatusAnswer> {
    switch (fate) {
      case 'unclear':
      case 'unauthorized':
      case 'rate_limited':
      case 'never_sent':
        return { ...TRACE, kind: fate };
    }
    const record = this.find(providerId, fate, now);
    if (!record) return { ...TRACE, kind: 'not_found' };
    return {
      ...TRACE,
      kind: 'ok',
      value: {
        id: record.id,
        payment_status: record.status,
        order_id: fate === 'other_order' ? 'another-order' : this.orderId,
        amount: fate === 'other_amount' ? '13.00' : AMOUNT,
      },
    };
  }

  /** @param isMixedUp with another payout's amount and end: that must not end ours. */
  facts({ id, status }: Said, isMixedUp: boolean): ProviderFacts {
    return isMixedUp
      ? { id, status: 'fail', orderId: this.orderId, amount: '13.00' }
      : { id, status, orderId: this.orderId, amount: AMOUNT };
  }
}

export function submitOutcome(
  answer: SubmitFate['answer'],
  record: ProviderRecord | null,
): ProviderOutcome<CreatePayoutAnswer> {
  switch (answer) {
    case 'ok':
      if (!record) throw new TypeError('What was not accepted is not answered with ok.');
      return { ...TRACE, kind: 'ok', value: { id: record.id, payment_status: 'wait' } };
    case 'refused':
      return { ...TRACE, kind: 'refused', message: 'invalid', errors: { number: ['no'] } };
    case 'order_taken':
      return { ...TRACE, kind: 'refused', message: 'invalid', errors: { order_id: ['taken'] } };
    default:
      return { ...TRACE, kind: answer };
  }
}
