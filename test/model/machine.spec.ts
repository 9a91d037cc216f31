import fc from 'fast-check';
import type { DecisionPolicy } from '../../src/payouts/payout.decision.js';
import { payoutCommands } from './commands.js';
import { MemoryMachine } from './machine.js';
import { ModelProvider } from './model.provider.js';
import { MODEL_RUNS, MODEL_SEED, REGRESSIONS } from './seeds.js';
import { World } from './world.js';

const POLICY: DecisionPolicy = {
  leaseMs: 60_000,
  checkSchedule: [10_000, 60_000],
  followUpSchedule: [3_600_000, 86_400_000],
  attentionAfterMs: 86_400_000,
  rejectAfterNotFound: 2,
  rejectAfterMs: 120_000,
  onNotFound: 'hold',
  maxUnsentAttempts: 3,
  confirmNotifications: false,
  maxResubmissions: 3,
  pauseMs: 60_000,
};
const MAX_COMMANDS = 80;
/** Longer than "not found" has to be seen: a status call that lags must not end a payout. */
const LAG_MS = 600_000;

/** `resubmit` is only for a provider that refuses an order_id which it has. */
const VARIANTS = [
  { name: 'hold, the provider takes an order_id twice', policy: { onNotFound: 'hold' }, deduplicates: false },
  { name: 'hold, the provider refuses an order_id that it has', policy: { onNotFound: 'hold' }, deduplicates: true },
  {
    name: 'resubmit, the provider refuses an order_id that it has',
    policy: { onNotFound: 'resubmit' },
    deduplicates: true,
  },
  { name: 'hold, notifications are confirmed', policy: { confirmNotifications: true }, deduplicates: false },
] as const;

describe.each(VARIANTS)('the machine in memory: $name', ({ name, policy, deduplicates }) => {
  const property = fc.asyncProperty(payoutCommands(MAX_COMMANDS), async (commands) => {
    const setup = () => ({
      model: {},
      real: new World(
        new MemoryMachine({ ...POLICY, ...policy }),
        new ModelProvider(deduplicates, LAG_MS),
        deduplicates,
      ),
    });
    await fc.asyncModelRun(setup, commands);
  });

  it('keeps every rule in the runs that once broke one', async () => {
    for (const { seed, runs } of REGRESSIONS.filter(({ variant }) => variant === name)) {
      await fc.assert(property, { seed, numRuns: runs });
    }
  });

  it('keeps every rule, whatever happens in whatever order', async () => {
    await fc.assert(property, {
      numRuns: MODEL_RUNS,
      ...(MODEL_SEED === undefined ? {} : { seed: MODEL_SEED }),
    });
  }, 3_600_000);
});
