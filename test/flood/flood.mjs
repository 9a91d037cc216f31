import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Load } from './load.mjs';
import { Processes } from './processes.mjs';

const HELP = `Usage: npm run flood -- [options]

One application pays out as fast as it can, by turns without and with a flood of forged notifications from another
process; then what it has paid a second is compared.

  --seconds N   how long is measured without the flood, and as long with it (default 20, at most 3600)
  --rate N      forged notifications a second (default 2000, at most 20000)
  --connections N  that the flood opens at most; another one whenever none is idle (default 256, at most 8000)
  --rounds N    turns of each kind (default 5, at most 100)
  --beside      flood another server, which refuses without a look: what the flood costs by sharing the machine alone
  --help

Exit code: 0 the flood costs less than a third of the payouts, 1 it costs more, 2 wrong usage.`;

const LIMITS = { seconds: [20, 3_600], rate: [2_000, 20_000], rounds: [5, 100], connections: [256, 8_000] };
const WARM_UP_MS = 5_000;
/** Between two rounds: what the last one has left behind should not count for the next. */
const PAUSE_MS = 500;
const LEAST = 2 / 3;

/** @returns {{ seconds: number, rate: number, rounds: number, connections: number, beside: boolean } | string} or what is wrong */
function readOptions() {
  let values;
  try {
    const number = { type: 'string' };
    values = parseArgs({
      options: {
        seconds: number,
        rate: number,
        rounds: number,
        connections: number,
        beside: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return error.message;
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const options = { beside: values.beside };
  for (const [name, [usual, most]] of Object.entries(LIMITS)) {
    const text = values[name] ?? String(usual);
    if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > most) {
      return `--${name} must be a whole number from 1 to ${most}`;
    }
    options[name] = Number(text);
  }
  return options;
}

async function main() {
  const options = readOptions();
  if (typeof options === 'string') {
    console.error(`${options}\n\n${HELP}`);
    return 2;
  }
  const processes = new Processes();
  const interrupted = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(130));
  });
  try {
    return await Promise.race([measure(processes, options), interrupted]);
  } finally {
    await processes.end();
  }
}

async function measure(processes, { seconds, rate, rounds, connections, beside }) {
  await processes.start(connections, beside);
  const load = new Load(processes);
  const loading = load.run();
  // Both ways of working are warm before anything counts.
  processes.flood(rate);
  await sleep(WARM_UP_MS);
  await processes.calm();
  const quiet = [];
  const flooded = [];
  console.log(`${'round'.padEnd(8)}${['paid/s', 'by notification', 'forged/s', 'answers'].map(cell).join('')}`);
  for (let round = 0; round < rounds; round += 1) {
    // Alternating which comes first, so that neither profits from what changes over time.
    for (const isFlooded of round % 2 ? [true, false] : [false, true]) {
      const result = await oneRound(processes, (seconds / rounds) * 1_000, isFlooded ? rate : 0);
      (isFlooded ? flooded : quiet).push(result.perSecond);
      show(isFlooded ? 'flood' : 'quiet', result);
    }
  }
  load.isOn = false;
  await loading;
  const ratio = mean(flooded) / mean(quiet);
  const isEnough = ratio > LEAST;
  console.log(
    `\npaid a second: ${mean(quiet).toFixed(1)} without the flood, ${mean(flooded).toFixed(1)} with it; ` +
      `ratio ${ratio.toFixed(2)}; creates that failed: ${load.failed}`,
  );
  console.log(isEnough ? 'ok: the flood costs less than a third' : 'FAILED: the flood costs a third or more');
  return isEnough ? 0 : 1;
}

async function oneRound(processes, ms, rate) {
  if (rate > 0) processes.flood(rate);
  await sleep(PAUSE_MS);
  const { rows: before } = await processes.pool.query('SELECT clock_timestamp() AS at');
  await sleep(ms);
  const { rows } = await processes.pool.query(
    `SELECT count(*)::int AS paid, count(*) FILTER (WHERE type = 'notification')::int AS notified,
       extract(epoch FROM clock_timestamp() - $1)::float AS seconds
     FROM alikassa_payout_events WHERE to_status = 'paid' AND from_status <> 'paid' AND created_at >= $1`,
    [before[0].at],
  );
  const forged = rate > 0 ? await processes.calm() : undefined;
  await sleep(PAUSE_MS);
  const [{ paid, notified, seconds }] = rows;
  return { perSecond: paid / seconds, notified: paid === 0 ? 0 : notified / paid, forged };
}

function show(kind, { perSecond, notified, forged }) {
  const cells = [perSecond.toFixed(1), `${Math.round(notified * 100)} %`];
  if (forged) {
    const answers = Object.entries(forged.statuses).map(([status, count]) => `${status}: ${count}`);
    cells.push(Math.round(forged.sent / forged.seconds), `  ${answers.join(', ')}`);
  }
  console.log(`${kind.padEnd(8)}${cells.map(cell).join('')}`);
}

function cell(value) {
  return String(value).padStart(17);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

process.exit(await main());
