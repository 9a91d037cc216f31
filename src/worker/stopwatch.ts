/**
 * Time that has passed here, by the clock that is further on: the monotonic one stands still while the machine is suspended,
 * the wall clock may be set back. Each look counts what has passed since the last one, so that a clock that is set back once
 * takes nothing away.
 */
export class Stopwatch {
  private monotonic = performance.now();
  private wall = Date.now();
  private passedMs = 0;

  /** Milliseconds since it was made. */
  get elapsedMs(): number {
    const [monotonic, wall] = [performance.now(), Date.now()];
    this.passedMs += Math.max(0, monotonic - this.monotonic, wall - this.wall);
    [this.monotonic, this.wall] = [monotonic, wall];
    return this.passedMs;
  }
}
