export type SimulatedEndpoint = 'payout' | 'status' | 'balance' | 'info';

/** What the simulator does with matching requests instead of what it would do. */
export interface ScriptedFault {
  on: SimulatedEndpoint;
  /** Only requests of this order; any by default. */
  orderId?: string;
  /** How many requests; default 1. */
  times?: number;
  /** Create: whether the payout is recorded all the same. Default true. */
  accept?: boolean;
  /** Milliseconds before anything is done. */
  delayMs?: number;
  /** The answer is held until this settles; the payout is recorded before. */
  hold?: Promise<unknown>;
  /** Closes the connection: before the payout is recorded, or after it. */
  drop?: 'before' | 'after';
  /** Never answers. */
  stall?: boolean;
  /** Raw bytes written in place of an answer; the connection is closed after them. */
  raw?: string | Buffer;
  /** Answered in place of the documented answer. */
  answer?: { status: number; headers?: Record<string, string>; body?: string | Buffer };
  /** Create: what happens to the notification; `early` comes before the create is answered. */
  notification?: 'early' | 'duplicate' | 'lost' | 'forged';
}

/** Scripted faults, in the order in which they were given; each serves as often as it says. */
export class SimulatorScript {
  private readonly faults: ScriptedFault[] = [];

  add(fault: ScriptedFault): void {
    this.faults.push({ ...fault, times: fault.times ?? 1 });
  }

  /** Takes the first fault that matches a request. */
  take(on: SimulatedEndpoint, orderId: string | undefined): ScriptedFault | undefined {
    const fault = this.faults.find(
      (one) => one.on === on && (one.times ?? 0) > 0 && (one.orderId === undefined || one.orderId === orderId),
    );
    if (fault?.times) fault.times -= 1;
    return fault;
  }
}
