import { CpuClock } from '../cpu.mjs';
import { atLeast, interleaved, paced, row } from '../measure.mjs';
import { barePipeline, LATENCY_MS, ourPipeline } from '../pipeline.mjs';
import { onStage } from '../stage.mjs';

/** Payouts a second from `create` to `paid` by notification. */
export async function measure({ quick, say, ...options }) {
  return onStage(options, async (stage) => {
    const load = await stage.load();
    const provider = await stage.provider({ latencyMs: LATENCY_MS });
    const pipelines = {
      ours: await ourPipeline(stage, { name: 'ours', provider, load }),
      bare: await barePipeline(stage, { name: 'bare', provider, load }),
    };
    const clocks = {};
    const side = (name) => {
      const [application] = pipelines[name].applications;
      clocks[name] = new CpuClock(stage, {
        application: application.process,
        provider: provider.process,
        load: load.process,
      });
      return paced(
        async (count) =>
          clocks[name].during(
            () => pipelines[name].rate(count),
            () => count,
          ),
        { quick },
      );
    };
    const { ours, bare } = await interleaved(
      { ours: side('ours'), bare: side('bare') },
      { rounds: quick ? 2 : 5, say },
    );
    for (const [name, clock] of Object.entries(clocks))
      say(`processor time of one payout, ${name}: ${clock.perUnit()}`);
    return [row('pipeline', ours, bare, 'payouts/s', atLeast(0.7))];
  });
}
