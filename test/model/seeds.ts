/** How many runs, and from which seed; `npm run test:model -- --help`. Fewer where it is one of all tests. */
export const MODEL_RUNS = numberOf('MODEL_RUNS') ?? 3_000;
export const MODEL_SEED = numberOf('MODEL_SEED');

export interface Regression {
  variant: string;
  seed: number;
  /** As many runs as it took. */
  runs: number;
  /** What it found. */
  found: string;
}

/** Every seed that ever found a fault, played again first. */
export const REGRESSIONS: readonly Regression[] = [];

function numberOf(name: string): number | undefined {
  const value = process.env[name];
  return value === undefined ? undefined : Number(value);
}
