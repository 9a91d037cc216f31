/** Units of a first round, which says how many the next one may have. */
const FIRST_ROUND = 256;
const SHARED_BY = 64;
/** On a machine that is this slow there are fewer rounds, but never fewer than so many. */
const LIMIT_MS = 60_000;
const FEWEST_ROUNDS = 2;

/** The middle one. */
export function median(values) {
  return percentile(values, 50);
}

/** By the nearest rank; a median of an even number is the mean of the two in the middle. */
export function percentile(values, percent) {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  if (percent === 50 && sorted.length % 2 === 0) {
    return (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
  }
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/**
 * Measures several sides in turn: first some times that do not count, then round by round. Every other round goes backwards,
 * so that no side profits from what changes over time.
 * @param {Record<string, () => Promise<number>>} sides what measures each once.
 * @param {{ rounds: number, say: (line: string) => void, warmUps?: number }} options
 * @returns {Promise<Record<string, number>>} the median of each.
 */
export async function interleaved(sides, { rounds, say, warmUps = 1 }) {
  const names = Object.keys(sides);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let warmUp = 0; warmUp < warmUps; warmUp += 1) {
    for (const name of names) {
      say(`warm-up: ${name}`);
      await sides[name]();
    }
  }
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    if (round >= FEWEST_ROUNDS && performance.now() - startedAt > LIMIT_MS) break;
    for (const name of round % 2 ? names.toReversed() : names) results[name].push(await sides[name]());
    say(`round ${round + 1} of ${rounds}: ${names.map((name) => `${name} ${shown(results[name].at(-1))}`).join(', ')}`);
  }
  return Object.fromEntries(names.map((name) => [name, median(results[name])]));
}

/**
 * Rounds of about the same time on any machine: as many units as the last round says.
 * @param {(count: number) => Promise<number>} rate works on `count` units. @returns how many a second.
 * @param {{ quick?: boolean, seconds?: number, most?: number }} options
 */
export function paced(rate, { quick = false, seconds = quick ? 1 : 3, most = 4_096 } = {}) {
  let count = Math.min(FIRST_ROUND, most);
  return async () => {
    const perSecond = await rate(count);
    // A multiple of what connections and processes share evenly.
    const wanted = Math.round((perSecond * seconds) / SHARED_BY) * SHARED_BY;
    count = Math.max(SHARED_BY, Math.min(wanted, most));
    return perSecond;
  };
}

/** With as many digits as mean something. */
export function shown(value) {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  return value.toLocaleString('en-US', { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2 });
}

/** A line of the results. */
export function row(name, ours, other, unit, reach = {}) {
  return { name, ours, other, ratio: ours / other, unit, ...reach };
}

/** Reach of a ratio that should be high. */
export function atLeast(ratio) {
  return { reach: `>= ${ratio}`, isReached: (one) => one.ratio >= ratio };
}

/** @throws Error what was measured did not happen. */
export function check(isTrue, what) {
  if (!isTrue) throw new CheckFailed(what);
}

/** The work that was measured was not done: a figure would be worth nothing. */
export class CheckFailed extends Error {}
