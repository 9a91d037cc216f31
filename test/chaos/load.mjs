import { setTimeout as sleep } from 'node:timers/promises';

const ANSWER_MS = 2_500;
const IN_FLIGHT = 48;

/**
 * Creates payouts as a host does: a request that fails or gets no answer is repeated, with the same order_id and at the
 * other process, until it is answered. What was answered is the truth that the database is held against.
 */
export class Load {
  /** What the clients were told, by order_id: `{ id, isNew, at }` each time. */
  acknowledged = new Map();
  /** Orders whose create was repeated since the database may have forgotten it. */
  repeated = new Set();
  /** Answers that a correct create never gets: `{ orderId, status, body }`. */
  refused = [];
  /** Requests, repeats included. */
  requests = 0;

  /**
   * @param {string[]} urls of the processes
   * @param {import('./random.mjs').Random} random
   */
  constructor(urls, random) {
    this.urls = urls;
    this.random = random;
  }

  /**
   * Spreads the orders over the time; ends when each has its answer.
   * @param {AbortSignal} giveUp ends the repeats.
   */
  async run(orders, overMs, giveUp) {
    const startedAt = performance.now();
    const running = new Set();
    for (const [index, order] of orders.entries()) {
      if (giveUp.aborted) break;
      const early = startedAt + (index / orders.length) * overMs - performance.now();
      if (early > 1) await sleep(early, undefined, { signal: giveUp }).catch(() => undefined);
      while (running.size >= IN_FLIGHT) await Promise.race(running);
      const work = this.create(order, giveUp).finally(() => running.delete(work));
      running.add(work);
    }
    await Promise.all(running);
  }

  /**
   * A careful client's part after a failover: it repeats the creates that were answered shortly before. Some clients do not.
   * @param {(at: number) => boolean} mayBeForgotten
   */
  async repeatForgotten(orders, mayBeForgotten, giveUp) {
    const isDoubtful = ({ orderId }) => (this.acknowledged.get(orderId) ?? []).some(({ at }) => mayBeForgotten(at));
    const repeated = orders.filter(isDoubtful).filter(() => this.random.chance(0.7));
    await Promise.all(
      repeated.map(async (order) => {
        await sleep(this.random.between(0, 3_000));
        await this.repeat(order, this.random.between(0, this.urls.length - 1), giveUp);
        this.repeated.add(order.orderId);
      }),
    );
  }

  async create(order, giveUp) {
    const first = this.random.between(0, this.urls.length - 1);
    const clients = order.isTwice ? this.urls.map((_, index) => first + index) : [first];
    await Promise.all(clients.map((at) => this.repeat(order, at, giveUp)));
  }

  async repeat(order, first, giveUp) {
    for (let at = first; !giveUp.aborted; at += 1) {
      const answer = await this.post(this.urls[at % this.urls.length], order.body);
      if (answer?.status === 200 || answer?.status === 201) return this.acknowledge(order.orderId, answer);
      if (answer && answer.status >= 400 && answer.status < 500) {
        this.refused.push({ orderId: order.orderId, ...answer });
        return;
      }
      await sleep(this.random.between(50, 300));
    }
  }

  /** @returns undefined where there was no answer, or only a part of one. */
  async post(url, body) {
    this.requests += 1;
    try {
      const response = await fetch(`${url}/alikassa/payouts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: response.status, body: await response.json() };
    } catch {
      return undefined;
    }
  }

  acknowledge(orderId, { status, body }) {
    const told = this.acknowledged.get(orderId) ?? [];
    told.push({ id: body.id, isNew: status === 201, at: performance.now() });
    this.acknowledged.set(orderId, told);
  }
}
