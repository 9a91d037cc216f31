import { remembered } from './remembered.js';

/** How a `Batcher` works. */
export interface BatchLimits {
  /** Items in one batch, at most. */
  size: number;
  /** Batches under way; what comes meanwhile makes the next one. */
  atOnce: number;
  /** A batch that takes longer is stuck and does not count any more: another may start beside it. */
  patienceMs: number;
  /** Stuck ones, beside which one more may start. */
  stuck: number;
}

/** What items may have to wait for. */
export interface BatchKeys<Item> {
  of(item: Item): unknown;
  /** Whether an item has waited in vain: then so would the others with its key. */
  isHeld(error: unknown): boolean;
}

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Does together what is asked for at the same time. By hand, since libraries that batch (dataloader) know no limit of
 * batches under way, and it is this limit that makes batches grow with the load.
 */
export class Batcher<Item, Result> {
  private waiting: Waiting<Item, Result>[] = [];
  /** By key: what waits for a batch under way that holds the same key. */
  private readonly held = new Map<unknown, Waiting<Item, Result>[]>();
  /** What has waited for the same key: it goes alone, since it may have to wait again. */
  private readonly groups: Waiting<Item, Result>[][] = [];
  private running = 0;
  private stuck = 0;
  private isScheduled = false;

  /**
   * @param work gives a result for each item, in their order.
   * @param mayBeOnes whether what a batch has failed with may be the fault of one of its items; each is then done alone.
   * @param keys what an item may have to wait for: items with the same key are under way in one batch at most.
   */
  constructor(
    private readonly work: (items: Item[]) => Promise<Result[]>,
    private readonly mayBeOnes: (error: unknown) => boolean,
    private readonly limits: BatchLimits,
    private readonly keys?: BatchKeys<Item>,
  ) {}

  /** @throws what `work` throws for this item. */
  async add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (this.isScheduled) return;
      this.isScheduled = true;
      // After all that has arrived in this turn of the event loop.
      setImmediate(() => {
        this.isScheduled = false;
        this.start();
      });
    });
  }

  private start(): void {
    const { atOnce, stuck } = this.limits;
    while (this.running < atOnce && this.stuck <= stuck) {
      const batch = this.groups.shift() ?? this.next();
      if (batch.length === 0) return;
      void this.run(batch);
    }
  }

  private next(): Waiting<Item, Result>[] {
    if (!this.keys || this.held.size === 0) return this.waiting.splice(0, this.limits.size);
    const batch: Waiting<Item, Result>[] = [];
    let seen = 0;
    for (const one of this.waiting) {
      if (batch.length === this.limits.size) break;
      seen += 1;
      (this.held.get(this.keys.of(one.item)) ?? batch).push(one);
    }
    this.waiting = this.waiting.slice(seen);
    return batch;
  }

  private async run(batch: Waiting<Item, Result>[]): Promise<void> {
    this.running += 1;
    const keys = new Set(this.keys ? batch.map(({ item }) => this.keys?.of(item)) : []);
    for (const key of keys) this.held.set(key, []);
    let isStuck = false;
    const timer = setTimeout(() => {
      isStuck = true;
      this.running -= 1;
      this.stuck += 1;
      this.start();
    }, this.limits.patienceMs);
    await this.settle(batch);
    clearTimeout(timer);
    for (const key of keys) this.letGo(key);
    if (isStuck) this.stuck -= 1;
    else this.running -= 1;
    this.start();
  }

  private letGo(key: unknown): void {
    const group = this.held.get(key) ?? [];
    this.held.delete(key);
    for (let from = 0; from < group.length; from += this.limits.size) {
      const part = group.slice(from, from + this.limits.size);
      // One after the other, as they would have come.
      if (from === 0) this.groups.push(part);
      else this.waiting.push(...part);
    }
  }

  /** @returns what all of them have failed with, if they have. */
  private async settle(batch: Waiting<Item, Result>[]): Promise<unknown> {
    try {
      const results = await this.work(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } catch (error) {
      if (batch.length > 1 && this.mayBeOnes(error)) {
        await this.settleAlone(batch);
        return undefined;
      }
      for (const { reject } of batch) reject(error);
      return error;
    }
    return undefined;
  }

  /** Those with one key in turn: they would wait for the same, each with a place of its own. */
  private async settleAlone(batch: Waiting<Item, Result>[]): Promise<void> {
    const byKey = new Map<unknown, Waiting<Item, Result>[]>();
    for (const one of batch) remembered(byKey, this.keys ? this.keys.of(one.item) : one, () => []).push(one);
    await Promise.all(
      [...byKey.values()].map(async (group) => {
        for (let one = group.shift(); one; one = group.shift()) {
          const error = await this.settle([one]);
          if (error !== undefined && this.keys?.isHeld(error)) group.splice(0).forEach(({ reject }) => reject(error));
        }
      }),
    );
  }
}
