import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until it is true, polling. @throws Error after 20 s. */
export async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await isTrue()); await sleep(25)) {
    if (Date.now() > deadline) throw new Error(`It did not come true within 20 s: ${isTrue.toString()}`);
  }
}
