import { setTimeout as sleep } from 'node:timers/promises';

type Probe<T> = () => Promise<T | false | null | undefined> | T | false | null | undefined;

/**
 * Polls a fact until it holds; a fault while asking counts as "not yet".
 * @returns what the probe gave: anything but false, null and undefined.
 * @throws Error after 20 s: it names the fact, and the last fault as its cause.
 */
export async function eventually<T>(fact: string, probe: Probe<T>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (let fault: unknown; ; await sleep(20)) {
    try {
      const found = await probe();
      if (found !== false && found !== null && found !== undefined) return found;
    } catch (error) {
      fault = error;
    }
    if (Date.now() > deadline) throw new Error(`It did not come true within 20 s: ${fact}`, { cause: fault });
  }
}

/** `eventually`, where the probe's source says enough. */
export async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  await eventually(isTrue.toString(), isTrue);
}
