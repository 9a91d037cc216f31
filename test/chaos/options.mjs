import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export const HELP = `Usage: npm run chaos -- [options]

Two application processes and one Postgres pay out against a simulated provider that misbehaves, while processes are
killed and frozen past their leases, Postgres is stopped, killed and replaced by a standby that lacks the last moments,
and two people decide at once on what they saw a while ago; then the books of all sides are compared.

  --seconds N     how long faults go on (default 60, at most 3600)
  --payouts N     how many are created meanwhile (default 2000, at most 100000)
  --promotions N  how often an asynchronous standby takes Postgres' place (default 1, below 60 seconds 0; at most 20)
  --settle N      seconds that everything may take to settle afterwards (default 120, at most 3600)
  --seed N        repeats the orders, the faults, their times and the people's choices of another run (default: a new one)
  --keep          leaves the processes' logs and the database's files behind, and says where
  --help

Exit code: 0 the books agree, 1 they do not, 2 wrong usage.`;

const LIMITS = {
  seconds: { usual: () => 60, least: 1, most: 3_600 },
  payouts: { usual: () => 2_000, least: 1, most: 100_000 },
  // Payouts that were open at a promotion are asked about one after the other: a short run would only wait for them.
  promotions: { usual: ({ seconds }) => (seconds < 60 ? 0 : 1), least: 0, most: 20 },
  settle: { usual: () => 120, least: 1, most: 3_600 },
  seed: { usual: () => randomInt(1, 1_000_000), least: 0, most: 2 ** 32 },
};

/**
 * @returns {{ seconds: number, payouts: number, promotions: number, settle: number, seed: string, keep: boolean } | string} or
 * what is wrong
 */
export function readOptions() {
  const number = { type: 'string' };
  const flags = { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } };
  let values;
  try {
    values = parseArgs({
      options: { seconds: number, payouts: number, promotions: number, settle: number, seed: number, ...flags },
    }).values;
  } catch (error) {
    return error.message;
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const options = { keep: values.keep };
  for (const [name, { usual, least, most }] of Object.entries(LIMITS)) {
    const text = values[name] ?? String(usual(options));
    if (!/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most) {
      return `--${name} must be a whole number from ${least} to ${most}`;
    }
    options[name] = Number(text);
  }
  return { ...options, seed: String(options.seed) };
}
