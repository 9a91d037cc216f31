import type { SimulatedFate } from './simulator.rules.js';

/** The provider's endpoints: create, status, balance and info. */
export type SimulatedEndpoint = 'payout' | 'status' | 'balance' | 'info';

/** What ends a connection that goes wrong: nothing ever, RST, or FIN. */
export type ConnectionEnd = 'stall' | 'reset' | 'close';

/** What the simulator does with matching requests instead of what it would do. */
export interface RequestFault {
  on: SimulatedEndpoint;
  /** Only requests of this order; any by default. */
  orderId?: string;
  /** How many requests; default 1. */
  times?: number;
  /** Create: whether the payout is recorded all the same. Default true. */
  accept?: boolean;
  /** Create: what becomes of the payout, in place of what the rules say. */
  fate?: SimulatedFate;
  /** Milliseconds before anything is done. */
  delayMs?: number;
  /** The answer is held until this settles; the payout is recorded before. */
  hold?: Promise<unknown>;
  /** Closes the connection by RST: before the payout is recorded, or after it. */
  drop?: 'before' | 'after';
  /** Never answers. */
  stall?: boolean;
  /** Raw bytes written in place of an answer; the connection is closed after them. */
  raw?: string | Buffer;
  /** Answered in place of the documented answer. */
  answer?: { status: number; headers?: Record<string, string>; body?: string | Buffer };
  /** How the answer, or `raw`, travels. Default: as a whole. */
  send?: {
    /** Only so many of its bytes, the head included. */
    bytes?: number;
    /** One byte at a time, so many milliseconds apart. */
    dripMs?: number;
    /** How the connection ends after that. Default `close`. */
    end?: ConnectionEnd;
  };
  /**
   * Create: what happens to the notification. `early` comes before the create is answered, `duplicate` twice, `lost`
   * never, `forged` with another status than was signed, `reordered` before an older one that says `wait`.
   */
  notification?: 'early' | 'duplicate' | 'lost' | 'forged' | 'reordered';
  /** Create: the notification comes so many milliseconds late. */
  notificationDelayMs?: number;
  /** Create: for so many milliseconds the status call does not find the payout, though it is recorded. */
  invisibleForMs?: number;
}

/** What the simulator does with the next connections, before it reads a request. */
export interface ConnectionFault {
  on: 'connection';
  /** How many connections; default 1. */
  times?: number;
  /** Ends the connection as soon as it is accepted: with TLS, in the handshake. */
  end?: ConnectionEnd;
  /** TLS: ends the connection as soon as the handshake is done. */
  afterHandshake?: ConnectionEnd;
  /** TLS: shows this certificate instead of its own. PEM. */
  certificate?: { key: string; cert: string };
}

/** What goes wrong: a request, or a connection. */
export type ScriptedFault = RequestFault | ConnectionFault;

/** Scripted faults, in the order in which they were given; each serves as often as it says. */
export class SimulatorScript {
  private readonly faults: ScriptedFault[] = [];

  /** @returns the entry itself: what is changed in it holds at once. */
  add<T extends ScriptedFault>(fault: T): T {
    const entry = { ...fault, times: fault.times ?? 1 };
    this.faults.push(entry);
    return entry;
  }

  /** Takes the first fault that matches a request. */
  take(on: SimulatedEndpoint, orderId: string | undefined): RequestFault | undefined {
    return this.used(
      this.faults.find(
        (one): one is RequestFault =>
          one.on === on && isLeft(one) && (one.orderId === undefined || one.orderId === orderId),
      ),
    );
  }

  /** Takes the first fault of connections. */
  takeConnection(): ConnectionFault | undefined {
    return this.used(this.faults.find((one): one is ConnectionFault => one.on === 'connection' && isLeft(one)));
  }

  private used<T extends ScriptedFault>(fault: T | undefined): T | undefined {
    if (fault?.times) fault.times -= 1;
    return fault;
  }
}

function isLeft({ times = 0 }: ScriptedFault): boolean {
  return times > 0;
}
