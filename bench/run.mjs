import { setMaxListeners } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CheckFailed } from './measure.mjs';
import { table } from './table.mjs';

/** In the order in which they run. */
const PARTS = ['sign', 'sign_loop', 'sign_seed', 'encode', 'create', 'notify', 'pipeline', 'latency', 'sql'];
PARTS.push('scale', 'memory', 'growth');
const RESULTS = new URL('results.json', import.meta.url);

const HELP = `Usage: npm run bench -- [part ...] [options]

Measures the speed on this machine, each figure beside its limit or its rival in the same run. Without a part: all of
them, in less than ten minutes. Only ratios count: machines are shared and noisy.

Parts: ${PARTS.join(', ')}

  --quick           fewer and shorter rounds, to see that it runs; the figures mean little and are not written
  --payouts N       of the part memory: it goes on until so many are paid (default: for 45 s)
  --profile FOLDER  writes a CPU profile of each application into the folder
  --help

Writes bench/results.json: [{name, ours, other, ratio, unit}]; one part alone replaces its own lines.
Exit code: 0 measured, whatever the ratios are; 1 a check failed, e.g. a payout that was not paid; 2 wrong usage.`;

/** @returns {{ parts: string[], quick: boolean, payouts?: number, profile?: string } | string} or what is wrong */
function readOptions() {
  let values, positionals;
  try {
    ({ values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        payouts: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return error.message;
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const unknown = positionals.find((name) => !PARTS.includes(name));
  if (unknown !== undefined) return `There is no part "${unknown}"; choose from ${PARTS.join(', ')}.`;
  if (!/^\d{3,7}$/.test(values.payouts ?? '100')) return '--payouts must be a whole number from 100 to 9999999';
  const parts = PARTS.filter((name) => positionals.length === 0 || positionals.includes(name));
  const profile = values.profile && resolve(values.profile);
  return { parts, quick: values.quick, payouts: values.payouts && Number(values.payouts), profile };
}

async function main() {
  const options = readOptions();
  if (typeof options === 'string') {
    console.error(`${options}\n\n${HELP}`);
    return 2;
  }
  if (options.profile) await mkdir(options.profile, { recursive: true });
  const interrupt = new AbortController();
  // Each process that a part starts waits for it: more than ten are no leak, of which Node would warn.
  setMaxListeners(0, interrupt.signal);
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupt.abort(new Error('interrupted')));
  const startedAt = performance.now();
  const rows = [];
  console.log(`Node ${process.version}, ${availableParallelism()} cores; Postgres with its defaults, fsync on\n`);
  for (const [index, part] of options.parts.entries()) {
    const head = `[${index + 1}/${options.parts.length}] ${part}`;
    const say = (line) => console.log(`${clock(startedAt)} ${head.padEnd(18)} ${line}`);
    const { measure } = await import(`./parts/${part}.mjs`);
    try {
      rows.push(...(await measure({ ...options, say, signal: interrupt.signal })));
    } catch (error) {
      if (interrupt.signal.aborted) return 130;
      console.error(`\n${part}: ${error instanceof CheckFailed ? `CHECK FAILED: ${error.message}` : error.stack}`);
      return 1;
    }
  }
  console.log(`\n${table(rows)}\n\nmeasured in ${clock(startedAt)}`);
  if (!options.quick) await write(rows, options.parts);
  return 0;
}

/** A part that did not run keeps the lines of its last run. */
async function write(rows, parts) {
  const before = JSON.parse(await readFile(RESULTS, 'utf8').catch(() => '[]'));
  const isOfPart = ({ name }) => parts.some((part) => name === part || name.startsWith(`${part} `));
  const lines = rows.map(({ name, ours, other, ratio, unit }) => ({ name, ours, other, ratio, unit }));
  const kept = parts.length === PARTS.length ? [] : before.filter((line) => !isOfPart(line));
  const rounded = [...kept, ...lines].map((line) => JSON.stringify(line, (_, value) => round(value)));
  await writeFile(RESULTS, `[\n  ${rounded.join(',\n  ')}\n]\n`);
}

/** Four digits: more are noise. */
function round(value) {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}

function clock(startedAt) {
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

process.exit(await main());
