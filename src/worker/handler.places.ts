/** The pause between two tries of a handler whose calls all hang doubles up to an hour. */
const LONGEST_PAUSE_MS = 3_600_000;
/** Calls that find no place come back at about this rate, however many they are. */
const MS_EACH = 20;
const SHORTEST_PUT_OFF_MS = 1_000;
const LONGEST_PUT_OFF_MS = 60_000;

/**
 * The calls of one handler that are under way in this process. A call that has exceeded its time keeps its place until it
 * returns, so that a handler that hangs is not called without end. When no place is left, one call at growing distances
 * tries whether it still hangs; with the first that returns, the others are forgotten.
 */
export class HandlerPlaces {
  private running = 0;
  private hung = 0;
  /** Of the calls that hang; those of an earlier one are forgotten. */
  private generation = 0;
  private pauseMs: number;
  private triesAt = 0;
  private putOffs = 0;
  private countedSince = 0;

  /**
   * @param places calls at once.
   * @param timeoutMs of a call.
   */
  constructor(
    private readonly places: number,
    private readonly timeoutMs: number,
  ) {
    this.pauseMs = timeoutMs;
  }

  /** Calls that have exceeded their time and have not returned. */
  get hanging(): number {
    return this.hung;
  }

  /** @returns whether there is a place for one more call; then it is taken. Moments are those of `performance.now()`. */
  take(now: number): boolean {
    if (this.running + this.hung >= this.places) {
      if (this.hung === 0 || this.running > 0 || now < this.triesAt) return false;
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
      this.triesAt = now + this.timeoutMs + this.pauseMs;
    }
    this.running += 1;
    return true;
  }

  /** The call was not made, or has ended within its time. */
  free(): void {
    this.running -= 1;
  }

  /** The call has returned: whatever hung before, the handler works. */
  works(): void {
    this.hung = 0;
    this.generation += 1;
    this.pauseMs = this.timeoutMs;
  }

  /** The call has exceeded its time. @returns to be called when it ends all the same. */
  hangs(now: number): () => void {
    const { generation } = this;
    this.running -= 1;
    this.hung += 1;
    this.triesAt = Math.max(this.triesAt, now + this.pauseMs);
    return () => {
      if (generation === this.generation) this.hung -= 1;
    };
  }

  /** In how many milliseconds a call that has found no place comes back. */
  putOff(now: number): number {
    if (now - this.countedSince > LONGEST_PUT_OFF_MS) [this.putOffs, this.countedSince] = [0, now];
    this.putOffs += 1;
    const pause = Math.min(Math.max(SHORTEST_PUT_OFF_MS, this.putOffs * MS_EACH), LONGEST_PUT_OFF_MS);
    return Math.round(pause * (0.5 + Math.random()));
  }
}
