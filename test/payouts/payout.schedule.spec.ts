import { backoff, jittered, nextCheck } from '../../src/payouts/payout.schedule.js';

/** The least and the greatest of a thousand pauses, as parts of the one that was meant, to a hundredth. */
function spread(ms: number, pause: () => number): [number, number] {
  const pauses = Array.from({ length: 1_000 }, pause);
  const part = (value: number): number => Math.round((100 * value) / ms) / 100;
  return [part(Math.min(...pauses)), part(Math.max(...pauses))];
}
const A_TENTH_EITHER_WAY = [0.9, 1.1];

it('jitter spreads by a tenth either way, in whole milliseconds', () => {
  expect(spread(100_000, () => jittered(100_000))).toEqual(A_TENTH_EITHER_WAY);
  expect(Number.isInteger(jittered(333))).toBe(true);
});

it.each([
  [1, 1_000],
  [2, 2_000],
  [5, 16_000],
  [9, 256_000],
  [10, 300_000],
  [10_000, 300_000],
])('after failure %i the pause is about %i ms: it doubles from a second to five minutes', (failures, ms) => {
  expect(spread(ms, () => backoff(failures))).toEqual(A_TENTH_EITHER_WAY);
});

it.each([
  [0, 10_000],
  [1, 30_000],
  [2, 30_000],
  [1_000, 30_000],
])('check %i of a schedule of 10 and 30 s comes after about %i ms: the last pause repeats', (checkCount, ms) => {
  const policy = { checkSchedule: [10_000, 30_000] };
  expect(spread(ms, () => nextCheck(checkCount, policy).afterMs)).toEqual(A_TENTH_EITHER_WAY);
});

it('a check comes no sooner than the provider has asked for', () => {
  const checkSchedule = [10_000];
  expect(nextCheck(0, { checkSchedule }, 90_000)).toEqual({ task: 'check', afterMs: 90_000 });
  expect(nextCheck(0, { checkSchedule }, 1).afterMs).toBeGreaterThanOrEqual(9_000);
});
