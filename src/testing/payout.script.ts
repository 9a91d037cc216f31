import type { FieldErrors } from './simulator.requests.js';
import type { RequestFault } from './simulator.script.js';

/**
 * What the simulator does with one payout; without a word said it goes its usual way. The methods say it from the
 * provider's side, and may be combined: `nextPayout().isDropped().isPaid()`.
 */
export class PayoutScript {
  /** @param fault the script's own entry: what is said here holds at once. */
  constructor(private readonly fault: RequestFault) {}

  /** It is recorded and paid, whatever the amount says. */
  isPaid(): this {
    return this.with({ fate: 'paid' });
  }

  /** It is recorded, and nine tenths of the amount are paid. */
  isPaidInPart(): this {
    return this.with({ fate: 'partial' });
  }

  isCancelled(): this {
    return this.with({ fate: 'cancel' });
  }

  isFailed(): this {
    return this.with({ fate: 'fail' });
  }

  /** It is recorded and stays `wait` until `simulator.settle()`. */
  staysWaiting(): this {
    return this.with({ fate: 'hold' });
  }

  /** The documented 400; nothing is recorded. @param errors one list of sentences for each field at fault. */
  isRefused(errors: FieldErrors = { number: ['The number is not accepted by the service.'] }): this {
    const body = JSON.stringify({ message: 'The given data was invalid.', errors });
    return this.with({ fate: 'refuse', answer: { status: 400, body } });
  }

  /** The connection is reset in place of an answer: after the payout was recorded, or before. */
  isDropped(when: 'after' | 'before' = 'after'): this {
    return this.with({ drop: when });
  }

  /** It is recorded, and the answer never comes. */
  isNeverAnswered(): this {
    return this.with({ stall: true });
  }

  /** Answered so, e.g. with 401, 429 or 500, and not recorded. @param body text or JSON. */
  isAnswered(status: number, body: string | object = '', headers: Record<string, string> = {}): this {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.with({ accept: false, answer: { status, headers, body: text } });
  }

  /** Nothing is done with it for so many milliseconds. */
  isDelayed(ms: number): this {
    return this.with({ delayMs: ms });
  }

  /** How its notification comes; `lost` is never. */
  isNotified(how: NonNullable<RequestFault['notification']>): this {
    return this.with({ notification: how });
  }

  /** For so many milliseconds the status call does not find it, though it is recorded. */
  isInvisible(ms: number): this {
    return this.with({ invisibleForMs: ms });
  }

  private with(part: Partial<RequestFault>): this {
    Object.assign(this.fault, part);
    return this;
  }
}
