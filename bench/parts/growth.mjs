import { atLeast, check, interleaved, paced, row } from '../measure.mjs';
import { insertFinal } from '../history.mjs';
import { LATENCY_MS, ourPipeline, SHARED_CONCURRENCY as concurrency } from '../pipeline.mjs';
import { onStage } from '../stage.mjs';

const CONNECTIONS = 8;
const FEW = 1_000;

/** `pipeline` and `GET payouts` on a table with five million final payouts, beside one with a thousand. */
export async function measure({ quick, say, ...options }) {
  const many = quick ? 100_000 : 5_000_000;
  const seconds = quick ? 1 : 2;
  const rounds = { rounds: quick ? 2 : 4, say };
  return onStage(options, async (stage) => {
    const load = await stage.load();
    const provider = await stage.provider({ latencyMs: LATENCY_MS });
    const pipelines = {};
    for (const [name, count] of Object.entries({ many, few: FEW })) {
      const database = await stage.migratedDatabase(name);
      const startedAt = performance.now();
      await insertFinal(database, count, say);
      say(
        `${count.toLocaleString('en-US')} final payouts are there, in ${Math.round((performance.now() - startedAt) / 1_000)} s`,
      );
      pipelines[name] = await ourPipeline(stage, { name, database, provider, load, concurrency });
    }
    const paying = (name) => paced((count) => pipelines[name].rate(count), { quick, seconds });
    const paid = await interleaved({ many: paying('many'), few: paying('few') }, rounds);
    const reading = (name) => async () => {
      const [{ payouts: url }] = pipelines[name].applications;
      const [{ failed, perSecond }] = await load.ask({
        kind: 'read',
        url,
        connections: CONNECTIONS,
        seconds,
      });
      check(failed === 0, `${failed} lists failed`);
      return perSecond;
    };
    const read = await interleaved({ many: reading('many'), few: reading('few') }, rounds);
    return [
      row('growth pipeline', paid.many, paid.few, 'payouts/s', atLeast(0.9)),
      row('growth list', read.many, read.few, 'lists/s', atLeast(0.9)),
    ];
  });
}
