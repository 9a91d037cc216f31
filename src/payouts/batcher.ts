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
  private readonly waiting: Waiting<Item, Result>[] = [];
  private running = 0;
  private stuck = 0;
  private isScheduled = false;

  /**
   * @param work gives a result for each item, in their order.
   * @param mayBeOnes whether what a batch has failed with may be the fault of one of its items; each is then done alone.
   */
  constructor(
    private readonly work: (items: Item[]) => Promise<Result[]>,
    private readonly mayBeOnes: (error: unknown) => boolean,
    private readonly limits: BatchLimits,
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
    while (this.waiting.length > 0 && this.running < atOnce && this.stuck <= stuck) {
      void this.run(this.waiting.splice(0, this.limits.size));
    }
  }

  private async run(batch: Waiting<Item, Result>[]): Promise<void> {
    this.running += 1;
    let isStuck = false;
    const timer = setTimeout(() => {
      isStuck = true;
      this.running -= 1;
      this.stuck += 1;
      this.start();
    }, this.limits.patienceMs);
    await this.settle(batch);
    clearTimeout(timer);
    if (isStuck) this.stuck -= 1;
    else this.running -= 1;
    this.start();
  }

  private async settle(batch: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.work(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } catch (error) {
      if (batch.length > 1 && this.mayBeOnes(error)) await Promise.all(batch.map((one) => this.settle([one])));
      else for (const { reject } of batch) reject(error);
    }
  }
}
