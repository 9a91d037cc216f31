import { DataSource } from 'typeorm';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import { AccountPauses } from '../../src/payouts/account.pauses.js';
import { EUR, prepare, RUB, startApplication, type TestSurroundings } from '../helpers/application.js';
import { withdrawNow } from '../helpers/people.js';
import { payload } from '../helpers/payload.js';
import { create } from '../helpers/payout.checks.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

const TIMER = 2_147_483_647;
const TEN_YEARS = 315_360_000_000;
const COUNT = 1_000_000_000;

let surroundings: TestSurroundings;
const warnings: string[] = [];
const keep = ({ name }: Error): void => void warnings.push(name);
beforeAll(async () => {
  surroundings = await prepare();
  process.on('warning', keep);
});
afterAll(async () => {
  process.off('warning', keep);
  await surroundings.stop();
});

it.each<[string, Partial<AliKassaOptions>]>([
  ['a lease hardly longer than a call', { timeoutMs: 2_000, leaseMs: 2_500 }],
  ['the longest call and lease', { timeoutMs: TIMER, leaseMs: TEN_YEARS }],
  [
    'the longest of all times, and the most of all counts',
    {
      checkSchedule: [TEN_YEARS],
      attentionAfterMs: TEN_YEARS,
      rejectAfterMs: TEN_YEARS,
      rejectAfterNotFound: COUNT,
      maxUnsentAttempts: COUNT,
      maxResubmissions: COUNT,
      pauseMs: TEN_YEARS,
      recipientRetentionDays: 36_500,
    },
  ],
  [
    'the shortest of all times, and the least of all counts',
    {
      checkSchedule: [1],
      attentionAfterMs: 1,
      rejectAfterMs: 1,
      rejectAfterNotFound: 1,
      maxUnsentAttempts: 1,
      maxResubmissions: 1,
      pauseMs: 1,
      recipientRetentionDays: 1,
      worker: { concurrency: 1, sweepIntervalMs: 50 },
    },
  ],
  ['the longest time between sweeps', { worker: { sweepIntervalMs: TIMER } }],
])('151: an option at its edge -> works (%s)', async (name, options) => {
  const host = await startApplication({ surroundings, port: surroundings.port, options });
  try {
    const { id } = await create(host, payload({ order_id: name }));
    await host.until(id, 'paid');
    expect(submissionsOf(surroundings.simulator, name)).toBe(1);
    expect(warnings).not.toContain('TimeoutOverflowWarning');
  } finally {
    await host.stop();
  }
});

it('more jobs at once than the server has connections: refused at the start', async () => {
  const start = startApplication({ surroundings, options: { worker: { concurrency: 10_000 } } });
  await expect(start).rejects.toThrow(/^worker\.concurrency: takes 10002 connections; the server has \d+ in all$/);
});

it('a pause of years holds the account back, each failure longer, and a person can end it', async () => {
  const host = await startApplication({ surroundings, port: surroundings.port, options: { pauseMs: TEN_YEARS } });
  try {
    surroundings.simulator.script({ on: 'payout', orderId: 'refused', answer: { status: 401 }, accept: false });
    const refused = await create(host, payload({ order_id: 'refused' }));
    await host.until(refused.id, 'unknown');
    const held = await create(host, payload({ order_id: 'held' }));
    await until(async () => (await host.payouts.find(held.id)).attention.includes('paused_unauthorized'));
    const pauses = new AccountPauses(host.app.get(DataSource));
    const due = await surroundings.database.pool.query<{ years: number }>(
      "SELECT extract(epoch FROM due_at - now()) / 31536000 AS years FROM alikassa_payouts WHERE order_id = 'held'",
    );
    expect(Number(due.rows[0]?.years)).toBeGreaterThan(8);
    expect((await pauses.current(RUB))?.remainingMs).toBeGreaterThan(TEN_YEARS - 60_000);
    // Probed and failed as often as it doubles.
    for (let failures = 0; failures < 6; failures++) {
      await surroundings.database.pool.query(
        'UPDATE alikassa_account_pauses SET is_probing = true, paused_until = now() WHERE account = $1',
        [RUB],
      );
      await pauses.apply(RUB, { to: 'paused', reason: 'unauthorized', forMs: TEN_YEARS, isExact: false });
    }
    expect((await pauses.current(RUB))?.remainingMs).toBeGreaterThan(16 * TEN_YEARS - 60_000);
    // Another account's go on.
    expect(await pauses.current(EUR)).toBeNull();
    expect((await withdrawNow(host.payouts, held.id)).status).toBe('withdrawn');
  } finally {
    await host.stop();
  }
});
