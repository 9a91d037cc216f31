#!/usr/bin/env node
import { runAtRandom } from '../helpers/random.run.mjs';

const HELP = `Runs the model of the payout machine: random histories against a model of the provider.

Usage: npm run test:model -- [--runs <n>] [--seed <n>]

  --runs <n>  histories in memory, for each variant; a hundredth of them run on a real Postgres. Default 10000
  --seed <n>  where the random histories start; a failure prints its seed. Default another one each time
  --help      show this

Exit codes: 0 every rule held, 1 one did not, 2 wrong usage.`;

runAtRandom('model', HELP, '10000');
