import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, row } from '../measure.mjs';
import { ourPipeline } from '../pipeline.mjs';
import { onStage } from '../stage.mjs';

const USUAL_MS = 30_000;
const QUICK_MS = 5_000;
const IDLE_MS = 3_000;
const TURN = 1_024;
/** So many, and the first tenth of them has grown the heap to its size. */
const GROWN = 100_000;
/** Of one full turn of old and young garbage collection: RSS swings by tens of megabytes. */
const SAMPLES = 8;

/** RSS of the application: idle after its start, after a tenth of the payouts, and after all of them. */
export async function measure({ quick, payouts, say, ...options }) {
  const total = payouts ?? Infinity;
  const deadline = performance.now() + (payouts ? Infinity : quick ? QUICK_MS : USUAL_MS);
  return onStage(options, async (stage) => {
    const load = await stage.load();
    // The provider answers at once: what counts is how many payouts go through.
    const provider = await stage.provider({ latencyMs: 0, settleAfterMs: 20 });
    const pipeline = await ourPipeline(stage, { name: 'ours', provider, load });
    const [{ process }] = pipeline.applications;
    await sleep(IDLE_MS);
    const idle = residentMegabytes(process.pid);
    const samples = [];
    while (pipeline.paid < total && (performance.now() < deadline || samples.length < 2)) {
      const rate = await pipeline.rate(TURN);
      samples.push({ paid: pipeline.paid, size: residentMegabytes(process.pid) });
      say(`${pipeline.paid} paid, ${Math.round(rate)}/s, ${samples.at(-1).size.toFixed(0)} MB`);
    }
    const size = (some) => median(some.map((one) => one.size));
    const first = size(samples.filter(({ paid }) => paid <= Math.max(pipeline.paid / 10, TURN)));
    const last = size(samples.slice(-Math.min(SAMPLES, Math.ceil(samples.length / 2))));
    return [
      row('memory', last, first, `MB after ${pipeline.paid} payouts, after the first tenth`, flatness(pipeline.paid)),
      row('memory idle', last, idle, 'MB after the payouts, idle at the start', { reach: 'as it is' }),
    ];
  });
}

/** The heap grows until it has its size, within some thousand payouts: sooner a comparison says nothing. */
function flatness(paid) {
  if (paid < GROWN) return { reach: `flat; seen with --payouts ${GROWN}` };
  return { reach: 'flat: <= 1.15', isReached: ({ ratio }) => ratio <= 1.15 };
}

/** @returns NaN where the system does not tell (it is not Linux). */
function residentMegabytes(pid) {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
  } catch {
    return Number.NaN;
  }
}
