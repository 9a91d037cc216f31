import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { PayoutDto } from '../../payouts/payout.dto.js';
import { isFinal } from '../../payouts/payout.status.js';
import type { Environment } from '../app.config.js';
import { freePort } from '../free.port.js';
import { createApp } from '../main.js';
import { startSandbox, type Sandbox } from '../sandbox.js';
import { onStopSignal } from '../stop.signal.js';
import { DemoClient } from './demo.client.js';
import { demoPayouts, type DemoPayout } from './demo.payouts.js';
import { DemoTable, type DemoRow } from './demo.table.js';

/** One payout of the demo while it is on its way. */
interface Running {
  planned: DemoPayout;
  payout: PayoutDto;
  row: DemoRow;
}

const DEADLINE_MS = 40_000;
const POLL_MS = 150;
/** Quick, since the simulator is. Only the refused payout and one whose notification is lost wait for it. */
const CHECK_SCHEDULE = '1s,1s,2s';

/**
 * Pays out the documented examples over REST, on a Postgres, a simulator and an application of its own, shows their
 * ways, and checks how each one ended.
 * @returns 0 if all ended as they should; 1 if not. Nothing is left behind.
 */
export async function demo(env: Environment): Promise<number> {
  const startedAt = Date.now();
  const stop = onStopSignal();
  let folder: string | undefined;
  let sandbox: Sandbox | undefined;
  let app: NestExpressApplication | undefined;
  try {
    console.log('Starting Postgres, the simulator of AliKassa and the application ...');
    folder = await mkdtemp(join(tmpdir(), 'nestjs-alikassa-demo-'));
    // The server's user must be able to enter it, not to look around.
    await chmod(folder, 0o711);
    const port = await freePort();
    sandbox = await startSandbox({
      folder,
      port,
      env: { LOG_LEVEL: env.LOG_LEVEL?.trim() || 'error', ALIKASSA_CHECK_SCHEDULE: CHECK_SCHEDULE },
      latencyMs: 400,
      settleAfterMs: 1_500,
      durable: false,
    });
    stop.signal.throwIfAborted();
    app = await createApp(sandbox.config);
    await app.listen(port, '127.0.0.1');
    console.log(`Ready after ${seconds(startedAt)} s at http://127.0.0.1:${port}/alikassa; paying out.\n`);
    const faults = await payOut(sandbox, port, stop.signal);
    for (const fault of faults) console.error(`WRONG: ${fault}`);
    console.log(faults.length === 0 ? `\nAll payouts ended as they should (${seconds(startedAt)} s).` : '');
    return faults.length === 0 ? 0 : 1;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error('Interrupted.');
    return 1;
  } finally {
    await app?.close();
    await sandbox?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
    stop.release();
  }
}

/** @returns what did not end as it should, one sentence each. */
async function payOut(sandbox: Sandbox, port: number, signal: AbortSignal): Promise<string[]> {
  const url = `http://127.0.0.1:${port}/alikassa`;
  const client = new DemoClient(url, sandbox.token);
  const table = new DemoTable(process.stdout);
  const running: Running[] = [];
  for (const planned of demoPayouts(sandbox.accounts, `${url}/notifications`)) {
    const payout = await client.create(planned.body);
    const amount = `${payout.amount} ${payout.currency}`;
    running.push({
      planned,
      payout,
      row: { title: planned.title, amount, number: payout.number, way: [], seconds: 0 },
    });
  }
  const rows = running.map(({ row }) => row);
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline;) {
    signal.throwIfAborted();
    await Promise.all(running.map((one) => refresh(client, one)));
    table.update(rows);
    if (running.every(({ payout }) => isFinal(payout.status))) break;
    await sleep(POLL_MS);
  }
  table.finish(rows);
  return running.flatMap((one) => faultsOf(one, sandbox));
}

async function refresh(client: DemoClient, one: Running): Promise<void> {
  one.payout = await client.find(one.payout.id);
  const events = await client.events(one.payout.id);
  const changes = events.filter(({ from_status, to_status }) => from_status !== to_status);
  one.row.way = changes.map(({ to_status }) => to_status);
  const [first, last] = [changes.at(0), changes.at(-1)];
  if (first && last) one.row.seconds = (Date.parse(last.created_at) - Date.parse(first.created_at)) / 1000;
}

function faultsOf({ planned, payout, row }: Running, { simulator }: Sandbox): string[] {
  const faults: string[] = [];
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) faults.push(`${planned.title}: ${what} is ${String(found)} instead of ${String(wanted)}`);
  };
  const isAccepted = planned.ends !== 'rejected';
  expect('the status', payout.status, planned.ends);
  expect('its last event', row.way.at(-1), planned.ends);
  expect("the number of submissions on the provider's books", simulator.accepted(payout.order_id), isAccepted ? 1 : 0);
  expect('the alarms', payout.attention.length, 0);
  if (planned.ends === 'paid') {
    expect('the amount paid', payout.payment_amount, Number(planned.body.amount).toFixed(2));
    expect('paid in part', payout.is_partial_payment, false);
  }
  return faults;
}

function seconds(startedAt: number): string {
  return ((Date.now() - startedAt) / 1000).toFixed(1);
}
