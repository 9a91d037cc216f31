import { LATE_MS } from './orders.mjs';

const LOOK_MS = 20;

/** What people can know of the provider: its books, and what has arrived and may still be written into them. */
export class ProviderWatch {
  /** Requests that submit a payout, by order_id: `{ at, request }`. */
  submissions = new Map();
  read = 0;

  constructor(simulator) {
    this.simulator = simulator;
    this.timer = setInterval(() => this.note(), LOOK_MS).unref();
  }

  /** Dates what has arrived since the last time. */
  note() {
    const { requests } = this.simulator;
    for (; this.read < requests.length; this.read += 1) {
      const request = requests[this.read];
      const { endpoint, orderId } = request;
      if (endpoint !== 'payout' || orderId === undefined) continue;
      const arrived = { at: performance.now(), request };
      if (this.submissions.has(orderId)) this.submissions.get(orderId).push(arrived);
      else this.submissions.set(orderId, [arrived]);
    }
  }

  /** @returns {{ status: string | undefined, isOnItsWay: boolean }} what its support would say of an order now. */
  look(orderId) {
    this.note();
    const since = performance.now() - LATE_MS - LOOK_MS;
    return {
      status: this.simulator.payouts.get(orderId)?.payment_status,
      isOnItsWay: (this.submissions.get(orderId) ?? []).some(({ at }) => at > since),
    };
  }

  /** Whether a request that submits the order has come, ever. */
  hasArrived(orderId) {
    this.note();
    return this.submissions.has(orderId);
  }

  end() {
    clearInterval(this.timer);
  }
}
