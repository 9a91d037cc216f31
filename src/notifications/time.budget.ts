/**
 * A leaky bucket of milliseconds: what is spent flows off at a share of the time that passes.
 * Moments are those of `performance.now()`.
 */
export class TimeBudget {
  private level = 0;
  private at = 0;

  /** @param share of the time, above 0 and below 1. @param burstMs what may be spent at once. */
  constructor(
    private readonly share: number,
    private readonly burstMs: number,
  ) {}

  spend(ms: number, now: number): void {
    this.flow(now);
    this.level += ms;
  }

  isSpent(now: number): boolean {
    this.flow(now);
    return this.level >= this.burstMs;
  }

  private flow(now: number): void {
    this.level = Math.max(0, this.level - (now - this.at) * this.share);
    this.at = now;
  }
}
