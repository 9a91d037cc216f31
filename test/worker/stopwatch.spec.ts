import { jest } from '@jest/globals';
import { Stopwatch } from '../../src/worker/stopwatch.js';

let monotonic = 0;
let wall = 0;
beforeEach(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => monotonic);
  jest.spyOn(Date, 'now').mockImplementation(() => wall);
});
afterEach(() => jest.restoreAllMocks());

it.each<[string, [number, number][], number]>([
  ['both clocks go on', [[500, 500]], 500],
  ['the machine was suspended: only the wall clock has gone on', [[0, 3_600_000]], 3_600_000],
  ['the wall clock is set back', [[500, -3_600_000]], 500],
  [
    'the wall clock is set back and the machine suspended after it',
    [
      [0, -3_600_000],
      [0, 700],
    ],
    700,
  ],
  [
    'both, in turn',
    [
      [100, 0],
      [0, 200],
      [300, 300],
    ],
    600,
  ],
  ['time stands still', [[0, 0]], 0],
])('%s', (_, steps, expected) => {
  const watch = new Stopwatch();
  let elapsed = 0;
  for (const [byMonotonic, byWall] of steps) {
    monotonic += byMonotonic;
    wall += byWall;
    elapsed = watch.elapsedMs;
  }
  expect(elapsed).toBe(expected);
});
