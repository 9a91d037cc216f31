import fc from 'fast-check';
import { resolveOptions } from '../../src/alikassa.options.js';
import { PayoutStore } from '../../src/payouts/payout.store.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { payoutCommands } from './commands.js';
import { DatabaseMachine } from './database.machine.js';
import { ModelProvider } from './model.provider.js';
import { MODEL_RUNS, MODEL_SEED } from './seeds.js';
import { World } from './world.js';

const MAX_COMMANDS = 40;
const LAG_MS = 600_000;

/** The same commands and rules as in memory, on the real store and a real Postgres: fewer runs, but real races. */
describe.each([
  { onNotFound: 'hold', deduplicates: false },
  { onNotFound: 'resubmit', deduplicates: true },
] as const)('the machine in a database: $onNotFound', ({ onNotFound, deduplicates }) => {
  let host: TestApplication;
  beforeAll(async () => {
    const options = { onNotFound, timeoutMs: 30_000, leaseMs: 60_000, rejectAfterMs: 120_000, maxUnsentAttempts: 3 };
    host = await startApplication({ options: { ...options, worker: { enabled: false } } });
  });
  afterAll(async () => host.stop());

  it('keeps every rule, whatever happens in whatever order', async () => {
    const { database, payouts } = host;
    const store = host.app.get(PayoutStore);
    const parts = { database, payouts, store, policy: resolveOptions(host.options) };
    const property = fc.asyncProperty(payoutCommands(MAX_COMMANDS), async (commands) => {
      const machine = await new DatabaseMachine(parts).create();
      const provider = new ModelProvider(deduplicates, LAG_MS, machine.orderId);
      await fc.asyncModelRun(() => ({ model: {}, real: new World(machine, provider, deduplicates) }), commands);
    });
    const numRuns = Math.ceil(MODEL_RUNS / 100);
    await fc.assert(property, { numRuns, ...(MODEL_SEED === undefined ? {} : { seed: MODEL_SEED }) });
  }, 3_600_000);
});
