import fc from 'fast-check';

const DEFAULT_RUNS = 2_000;
const PROGRESS_MS = 5_000;
const { FUZZ_RUNS, FUZZ_SEED } = process.env;

/**
 * Sends this share of all inputs through the property; `npm run test:fuzz -- --help` says how many there are. A long run
 * shows its progress.
 */
export async function fuzz<T>(
  name: string,
  share: number,
  inputs: fc.Arbitrary<T>,
  holds: (input: T) => Promise<void> | void,
): Promise<void> {
  const numRuns = Math.ceil(share * Number(FUZZ_RUNS ?? DEFAULT_RUNS));
  let done = 0;
  const show = (): boolean => process.stderr.write(`fuzz: ${name}: ${done} of ${numRuns} inputs\n`);
  const timer = FUZZ_RUNS === undefined ? undefined : setInterval(show, PROGRESS_MS);
  try {
    const property = fc.asyncProperty(inputs, async (input) => {
      done += 1;
      await holds(input);
    });
    await fc.assert(property, { numRuns, ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }) });
  } finally {
    clearInterval(timer);
  }
  if (timer) show();
}
