#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const HELP = `Sends random input to every endpoint of a running application, and to what reads the provider's words.

Usage: npm run test:fuzz -- [--runs <n>] [--seed <n>]

  --runs <n>  inputs altogether. Default 100000
  --seed <n>  where the random inputs start; a failure prints its seed. Default another one each time
  --help      show this

Exit codes: 0 every rule held, 1 one did not, 2 wrong usage.`;

function parsed() {
  try {
    const options = { runs: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } };
    const { values } = parseArgs({ options });
    for (const [name, pattern] of [
      ['runs', /^[1-9]\d*$/],
      ['seed', /^-?\d+$/],
    ]) {
      if (values[name] !== undefined && !pattern.test(values[name]))
        throw new Error(`--${name} must be a whole number`);
    }
    return values;
  } catch (error) {
    console.error(`test:fuzz: ${error.message}; see npm run test:fuzz -- --help`);
    process.exit(2);
  }
}

const { runs = '100000', seed, help } = parsed();
if (help) {
  console.log(HELP);
  process.exit(0);
}
const env = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules', FUZZ_RUNS: runs };
if (seed) env.FUZZ_SEED = seed;
const { status } = spawnSync('npx', ['jest', 'test/fuzz'], { stdio: 'inherit', env });
process.exit(status === 0 ? 0 : 1);
