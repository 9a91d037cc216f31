import { Batcher, type BatchLimits } from '../../src/payouts/batcher.js';
import { latch } from '../helpers/payout.checks.js';
import { until } from '../helpers/until.js';

const LIMITS = { size: 3, atOnce: 1, patienceMs: 60_000, stuck: 1 };
const FAULT = new Error('refused');

/** A batcher whose batches wait for `letGo`; an item below 0 is refused. */
function batcher(limits: Partial<BatchLimits> = {}, mayBeOnes = (error: unknown): boolean => error === FAULT) {
  const batches: number[][] = [];
  const { held, letGo } = latch();
  const work = async (items: number[]): Promise<string[]> => {
    batches.push(items);
    await held;
    if (items.some((item) => item < 0)) throw FAULT;
    return items.map((item) => `${item} done`);
  };
  return { batches, letGo, batcher: new Batcher(work, mayBeOnes, { ...LIMITS, ...limits }) };
}

it('does together what comes in one turn, and gives each its own result', async () => {
  const { batcher: one, batches, letGo } = batcher();
  letGo();
  expect(await Promise.all([1, 2].map((item) => one.add(item)))).toEqual(['1 done', '2 done']);
  expect(batches).toEqual([[1, 2]]);
  expect(await one.add(3)).toBe('3 done');
  expect(batches).toEqual([[1, 2], [3]]);
});

it('begins no more batches than may be under way, and collects for the next one meanwhile', async () => {
  const { batcher: one, batches, letGo } = batcher();
  const all = [one.add(1)];
  await until(() => batches.length === 1);
  for (const item of [2, 3, 4, 5]) {
    all.push(one.add(item));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(batches).toEqual([[1]]);
  letGo();
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5].map((item) => `${item} done`));
  expect(batches).toEqual([[1], [2, 3, 4], [5]]);
});

it('begins another beside one that takes long', async () => {
  const { batcher: one, batches, letGo } = batcher({ patienceMs: 1 });
  const all = [one.add(1)];
  await until(() => batches.length === 1);
  all.push(one.add(2));
  await until(() => batches.length === 2);
  letGo();
  expect(await Promise.all(all)).toEqual(['1 done', '2 done']);
});

it('begins no more beside too many that take long, until one of them has ended', async () => {
  const { batcher: one, batches, letGo } = batcher({ patienceMs: 1, stuck: 1 });
  const all = [1, 2, 3].map(async (item, index) => {
    await until(() => batches.length === index);
    return one.add(item);
  });
  await until(() => batches.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(batches).toEqual([[1], [2]]);
  letGo();
  expect(await Promise.all(all)).toEqual(['1 done', '2 done', '3 done']);
  expect(batches).toEqual([[1], [2], [3]]);
});

it('does each alone where one may be at fault, and only that one fails', async () => {
  const { batcher: one, batches, letGo } = batcher();
  letGo();
  expect(await Promise.allSettled([1, -1, 2].map((item) => one.add(item)))).toEqual([
    { status: 'fulfilled', value: '1 done' },
    { status: 'rejected', reason: FAULT },
    { status: 'fulfilled', value: '2 done' },
  ]);
  expect(batches).toEqual([[1, -1, 2], [1], [-1], [2]]);
});

it('fails all of them, once, where no one of them can be at fault', async () => {
  const { batcher: one, batches, letGo } = batcher({}, () => false);
  letGo();
  const failed = { status: 'rejected', reason: FAULT };
  expect(await Promise.allSettled([1, -1].map((item) => one.add(item)))).toEqual([failed, failed]);
  expect(batches).toEqual([[1, -1]]);
});
