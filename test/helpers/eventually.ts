import { setTimeout as sleep } from 'node:timers/promises';

const DEADLINE_MS = 20_000;

/**
 * Polls a fact until it holds; a fault while asking counts as "not yet".
 * @returns what the probe gave: anything but false, null and undefined.
 * @throws Error that names the fact, with the last fault.
 */
export async function eventually<T>(
  fact: string,
  probe: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (let fault: unknown; ;) {
    try {
      const found = await probe();
      if (found !== false && found !== null && found !== undefined) return found;
    } catch (error) {
      fault = error;
    }
    if (Date.now() > deadline) throw new Error(`It did not come to be: ${fact}`, { cause: fault });
    await sleep(20);
  }
}
