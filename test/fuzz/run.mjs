#!/usr/bin/env node
import { runAtRandom } from '../helpers/random.run.mjs';

const HELP = `Sends random input to every endpoint of a running application, and to what reads the provider's words.

Usage: npm run test:fuzz -- [--runs <n>] [--seed <n>]

  --runs <n>  inputs altogether. Default 100000
  --seed <n>  where the random inputs start; a failure prints its seed. Default another one each time
  --help      show this

Exit codes: 0 every rule held, 1 one did not, 2 wrong usage.`;

runAtRandom('fuzz', HELP, '100000');
