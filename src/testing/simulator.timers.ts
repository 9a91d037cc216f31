/** Every timer of one simulator, so that stopping it leaves none behind. */
export class SimulatorTimers {
  private readonly pending = new Map<NodeJS.Timeout, () => void>();

  /** Runs `action` once after `ms`, unless cleared before. Returns a function that cancels it. */
  after(ms: number, action: () => void): () => void {
    const timer = setTimeout(() => {
      this.pending.delete(timer);
      action();
    }, ms);
    this.pending.set(timer, () => undefined);
    return () => {
      clearTimeout(timer);
      this.pending.delete(timer);
    };
  }

  /** Resolves true after `ms`, or false as soon as the timers are cleared. */
  sleep(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.pending.delete(timer);
        resolve(true);
      }, ms);
      this.pending.set(timer, () => resolve(false));
    });
  }

  clear(): void {
    for (const [timer, cleared] of this.pending) {
      clearTimeout(timer);
      cleared();
    }
    this.pending.clear();
  }
}
