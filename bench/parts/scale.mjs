import { CpuClock } from '../cpu.mjs';
import { interleaved, paced, row } from '../measure.mjs';
import { LATENCY_MS, ourPipeline, SHARED_CONCURRENCY as concurrency } from '../pipeline.mjs';
import { onStage } from '../stage.mjs';

/** `pipeline` with two application processes on one database, beside one. */
export async function measure({ quick, say, ...options }) {
  return onStage(options, async (stage) => {
    const load = await stage.load();
    const provider = await stage.provider({ latencyMs: LATENCY_MS });
    const pipelines = {
      two: await ourPipeline(stage, { name: 'two', provider, load, concurrency, processes: 2 }),
      one: await ourPipeline(stage, { name: 'one', provider, load, concurrency }),
    };
    const clocks = {};
    const side = (name) => {
      const applications = pipelines[name].applications.map(({ process }, index) => [
        `application ${index + 1}`,
        process,
      ]);
      const all = { ...Object.fromEntries(applications), provider: provider.process, load: load.process };
      clocks[name] = new CpuClock(stage, all);
      return paced(
        async (count) =>
          clocks[name].during(
            () => pipelines[name].rate(count),
            () => count,
          ),
        {
          quick,
          seconds: quick ? 1 : 3,
        },
      );
    };
    const { two, one } = await interleaved({ two: side('two'), one: side('one') }, { rounds: quick ? 2 : 3, say });
    for (const [name, clock] of Object.entries(clocks))
      say(`processor time of one payout, ${name}: ${clock.perUnit()}`);
    return [row('scale', two, one, 'payouts/s', { reach: 'as it is' })];
  });
}
