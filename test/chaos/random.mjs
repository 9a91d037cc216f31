import { createHash } from 'node:crypto';

/** Random numbers that a seed repeats: every part of a run has a stream of its own, so that one does not shift another. */
export class Random {
  /** @param {string} seed */
  constructor(seed) {
    this.state = createHash('sha256').update(seed).digest().readUInt32LE();
  }

  /** From 0 up to, not including, 1 (mulberry32). */
  next() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(share) {
    return this.next() < share;
  }

  pick(list) {
    return list[Math.floor(this.next() * list.length)];
  }

  /** One value of pairs `[weight, value]`. */
  weighted(pairs) {
    const sum = pairs.reduce((total, [weight]) => total + weight, 0);
    let left = this.next() * sum;
    for (const [weight, value] of pairs) {
      left -= weight;
      if (left < 0) return value;
    }
    return pairs.at(-1)[1];
  }
}
