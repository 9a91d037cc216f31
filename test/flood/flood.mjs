import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ACCOUNT, Processes } from './processes.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '4' },
  },
});
const seconds = Number(values.seconds),
  rate = Number(values.rate),
  rounds = Number(values.rounds);
const BACKLOG = 60,
  IN_FLIGHT = 16;
const p = new Processes();
await p.start();
let running = true,
  inFlight = 0,
  backlog = 0,
  errors = 0;
async function create() {
  inFlight += 1;
  try {
    const r = await fetch(`${p.url}/alikassa/payouts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        account: ACCOUNT,
        amount: '12.00',
        number: '79005554455',
        order_id: randomUUID(),
        service: 'qiwi_rub',
      }),
    });
    await r.text();
    if (r.status !== 201) errors += 1;
  } catch {
    errors += 1;
  } finally {
    inFlight -= 1;
  }
}
async function counts() {
  const { rows } = await p.pool.query('SELECT status, count(*)::int AS n FROM alikassa_payouts GROUP BY status');
  return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
}
let created = 0;
(async () => {
  while (running) {
    const c = await counts();
    backlog = (c.queued ?? 0) + (c.sending ?? 0);
    const room = BACKLOG - backlog;
    created = 0;
    const until = performance.now() + 50;
    while (running && performance.now() < until) {
      while (inFlight < IN_FLIGHT && created < room) {
        created += 1;
        void create();
      }
      await sleep(2);
    }
  }
})();
const cpu = (child) => {
  const f = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(f[11]) + Number(f[12])) * 10;
};
await sleep(4000);
const res = { quiet: [], flood: [] };
const order = Array.from({ length: rounds }, (_, i) => (i % 2 ? ['flood', 'quiet'] : ['quiet', 'flood'])).flat();
for (const kind of order) {
  if (kind === 'flood') p.flood(rate);
  await sleep(500);
  const at = performance.now(),
    before = await counts(),
    cpu0 = cpu(p.application),
    f0 = cpu(p.flooder),
    s0 = cpu(p.provider);
  await sleep((seconds * 1000) / rounds);
  const s = (performance.now() - at) / 1000,
    after = await counts(),
    cpu1 = cpu(p.application);
  const tally = kind === 'flood' ? await p.calm() : null;
  const perSecond = ((after.paid ?? 0) - (before.paid ?? 0)) / s;
  res[kind].push(perSecond);
  console.log(
    kind,
    perSecond.toFixed(1),
    'paid/s',
    JSON.stringify(after),
    'app cpu',
    ((cpu1 - cpu0) / s / 10).toFixed(0) + '%',
    'flooder',
    ((cpu(p.flooder) - f0) / s / 10).toFixed(0) + '%',
    'sim',
    ((cpu(p.provider) - s0) / s / 10).toFixed(0) + '%',
    tally ? JSON.stringify({ ...tally, totalMs: (tally.totalMs / tally.sent).toFixed(1) }) : '',
    'errors',
    errors,
  );
  await sleep(500);
}
const mean = (a) => a.reduce((x, y) => x + y, 0) / a.length;
console.log(
  'quiet',
  mean(res.quiet).toFixed(1),
  'flood',
  mean(res.flood).toFixed(1),
  'ratio',
  (mean(res.flood) / mean(res.quiet)).toFixed(3),
);
running = false;
await sleep(500);
await p.end();
process.exit(0);
