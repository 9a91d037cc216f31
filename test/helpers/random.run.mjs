import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const OPTIONS = { runs: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } };

/**
 * Runs a folder's specs with `--runs` and `--seed` from the command line, and ends the process: 0 every rule held, 1 one
 * did not, 2 wrong usage.
 * @param script name of the npm script, and its folder below `test`: the variables begin with its name in capitals.
 */
export function runAtRandom(script, help, defaultRuns) {
  const { runs = defaultRuns, seed, ...flags } = parsed(script);
  if (flags.help) {
    console.log(help);
    process.exit(0);
  }
  const env = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules' };
  if (runs) env[`${script.toUpperCase()}_RUNS`] = runs;
  if (seed) env[`${script.toUpperCase()}_SEED`] = seed;
  const { status } = spawnSync('npx', ['jest', `test/${script}`], { stdio: 'inherit', env });
  process.exit(status === 0 ? 0 : 1);
}

function parsed(script) {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    for (const [name, pattern] of Object.entries({ runs: /^[1-9]\d*$/, seed: /^-?\d+$/ })) {
      if (values[name] !== undefined && !pattern.test(values[name]))
        throw new Error(`--${name} must be a whole number`);
    }
    return values;
  } catch (error) {
    console.error(`test:${script}: ${error.message}; see npm run test:${script} -- --help`);
    process.exit(2);
  }
}
