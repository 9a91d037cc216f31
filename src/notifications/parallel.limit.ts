/** Lets so many works run at once, and so many more wait for their turn. */
export class ParallelLimit {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly atOnce: number,
    private readonly mayWait: number,
  ) {}

  get isFull(): boolean {
    return this.running >= this.atOnce && this.waiting.length >= this.mayWait;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < this.atOnce) this.running += 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      // A place changes hands without becoming free, so that nobody overtakes.
      const next = this.waiting.shift();
      if (next) next();
      else this.running -= 1;
    }
  }
}
