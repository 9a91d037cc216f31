import { setImmediate } from 'node:timers/promises';
import { ParallelLimit } from '../../src/notifications/parallel.limit.js';

/** Works that end when they are told to, and how many run. */
function works(limit: ParallelLimit) {
  const ends: (() => void)[] = [];
  let most = 0;
  let running = 0;
  const start = (fails = false): Promise<number> =>
    limit.run(async () => {
      running += 1;
      most = Math.max(most, running);
      const turn = ends.length;
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
      if (fails) throw new Error('failed');
      return turn;
    });
  return { start, ends, most: () => most };
}

describe('ParallelLimit', () => {
  it('runs no more at once than it may, and the others in their order', async () => {
    const limit = new ParallelLimit(2, 10);
    const { start, ends, most } = works(limit);
    const all = Promise.all(Array.from({ length: 6 }, () => start()));
    for (let ended = 0; ended < 6; await setImmediate()) if (ended < ends.length) ends[ended++]?.();
    expect(await all).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most()).toBe(2);
  });

  it('is full when as many wait as may', async () => {
    const limit = new ParallelLimit(1, 1);
    const { start, ends } = works(limit);
    const first = start();
    expect(limit.isFull).toBe(false);
    const second = start();
    expect(limit.isFull).toBe(true);
    ends[0]?.();
    await first;
    expect(limit.isFull).toBe(false);
    await setImmediate();
    ends[1]?.();
    await second;
  });

  it('gives the place of a failed one to the next', async () => {
    const limit = new ParallelLimit(1, 1);
    const { start, ends } = works(limit);
    const [first, second] = [start(true), start()];
    ends[0]?.();
    await expect(first).rejects.toThrow('failed');
    await setImmediate();
    ends[1]?.();
    expect(await second).toBe(1);
  });
});
