import { randomBytes } from 'node:crypto';
import type { AliKassaOptions } from '../alikassa.options.js';
import { AliKassaSimulator, type SimulatorOptions } from './simulator.js';
import { generateTestKeys, type TestKeys } from './test-keys.js';

/** The account that is simulated where none is named. */
export const TEST_ACCOUNT = { uuid: '00000000-0000-4000-8000-000000000001', currency: 'RUB' } as const;

/** What a simulated AliKassa is to be like; everything has a default. */
export interface SimulationSetup {
  /** What the test is about; everything else has a value that fits the simulator. */
  options?: Partial<AliKassaOptions>;
  simulator?: Partial<SimulatorOptions>;
  /** Instead of new ones. */
  keys?: TestKeys;
}

/** A simulated AliKassa that listens, and options for a module that pays out through it. */
export interface Simulation {
  simulator: AliKassaSimulator;
  options: AliKassaOptions;
}

/**
 * Starts a simulator on a free port of the loopback address, with new keys; the times in the options are short, so that
 * a test need not wait. Stop it with `simulator.stop()` when the application is closed.
 */
export async function startAliKassa({ options, simulator, keys }: SimulationSetup = {}): Promise<Simulation> {
  const { payout, notification } = keys ?? (await generateTestKeys());
  const accounts = options?.accounts ?? [TEST_ACCOUNT];
  const started = await new AliKassaSimulator({
    payoutPublicKey: payout.publicKey,
    notificationPrivateKey: notification.privateKey,
    accounts,
    digest: options?.digest,
    // The next test may have the same database, where no id stands twice.
    firstId: Date.now(),
    ...simulator,
  }).start();
  return {
    simulator: started,
    options: {
      accounts,
      privateKey: payout.privateKey,
      passphrase: payout.passphrase,
      notificationPublicKey: notification.publicKey,
      // An id of its own: the database remembers which key an id stands for, and the next test may have the same database.
      encryptionKeys: [{ id: `test-${randomBytes(8).toString('hex')}`, key: randomBytes(32).toString('base64') }],
      baseUrl: started.url,
      timeoutMs: 2_000,
      leaseMs: 4_000,
      checkSchedule: [100, 200, 400],
      rejectAfterMs: 300,
      pauseMs: 500,
      ...options,
      worker: { sweepIntervalMs: 500, ...options?.worker },
    },
  };
}
