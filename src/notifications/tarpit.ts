/** Answers are given in bursts: one by one, each would wake its receiver, and a processor that they share with us. */
const PAUSE_MS = 1_000;
/** So many in each. */
const ANSWERS = 250;
/** So many stay held after a burst, each on a connection of its own with some kilobytes of memory. */
const MOST = 4_000;

/**
 * Holds the answers to those who are turned away, and gives them in turn, 250 a second. An answer at once asks for the
 * next request at once, and reading that costs what a flood is about; so the senders get no faster, however many
 * connections they have.
 */
export class Tarpit {
  private readonly held = new Set<() => void>();
  private timer?: NodeJS.Timeout;

  /** @param answer is called in its turn. */
  hold(answer: () => void): void {
    this.held.add(answer);
    this.timer ??= setInterval(() => this.answer(Math.max(ANSWERS, this.held.size - MOST)), PAUSE_MS);
  }

  /** Gives all of them their answers now. */
  release(): void {
    this.answer(this.held.size);
  }

  private answer(count: number): void {
    let left = count;
    for (const answer of this.held) {
      if (left === 0) break;
      left -= 1;
      this.held.delete(answer);
      answer();
    }
    if (this.held.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
