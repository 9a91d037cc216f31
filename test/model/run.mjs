#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const HELP = `Runs the model of the payout machine: random histories against a model of the provider.

Usage: npm run test:model -- [--runs <n>] [--seed <n>]

  --runs <n>  histories in memory, for each variant; a hundredth of them run on a real Postgres. Default 10000
  --seed <n>  where the random histories start; a failure prints its seed. Default another one each time
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
    console.error(`test:model: ${error.message}; see npm run test:model -- --help`);
    process.exit(2);
  }
}

const { runs, seed, help } = parsed();
if (help) {
  console.log(HELP);
  process.exit(0);
}
const env = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules' };
if (runs) env.MODEL_RUNS = runs;
if (seed) env.MODEL_SEED = seed;
const { status } = spawnSync('npx', ['jest', 'test/model'], { stdio: 'inherit', env });
process.exit(status === 0 ? 0 : 1);
