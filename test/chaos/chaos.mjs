import { randomBytes, randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../../dist/src/app/free.port.js';
import { migrateUp } from '../../dist/src/app/database.js';
import { AliKassaSimulator, generateTestKeys } from '../../dist/src/testing/index.js';
import { readBooks, readProgress } from './books.mjs';
import { Database, Host } from './cluster.mjs';
import { disturbPostgres, disturbProcesses } from './faults.mjs';
import { checkLedger, countLedger } from './ledger.mjs';
import { Load } from './load.mjs';
import { ACCOUNT, LATE_MS, planOrders } from './orders.mjs';
import { Random } from './random.mjs';

const HELP = `Usage: npm run chaos -- [options]

Two application processes and one Postgres pay out against a simulated provider that misbehaves, while processes are
killed and frozen and Postgres is stopped and killed; then the books of both sides are compared.

  --seconds N   how long faults go on (default 60, at most 3600)
  --payouts N   how many are created meanwhile (default 2000, at most 100000)
  --settle N    seconds that everything may take to settle afterwards (default 120, at most 3600)
  --seed N      repeats the orders, their faults and the times of the faults of another run (default: a new one)
  --keep        leaves the processes' logs and the database's files behind, and says where
  --help

Exit code: 0 the books agree, 1 they do not, 2 wrong usage.`;

const LEASE_MS = 3_000;
const PROGRESS_MS = 2_000;
const SHOWN = 40;

/** @returns {{ seconds: number, payouts: number, settle: number, seed: string, keep: boolean } | string} or what is wrong */
function readOptions() {
  const number = { type: 'string' };
  const flags = { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } };
  let values;
  try {
    values = parseArgs({
      options: { seconds: number, payouts: number, settle: number, seed: number, ...flags },
    }).values;
  } catch (error) {
    return error.message;
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const limits = { seconds: [60, 3_600], payouts: [2_000, 100_000], settle: [120, 3_600], seed: [0, 2 ** 32] };
  const options = { keep: values.keep };
  for (const [name, [usual, most]] of Object.entries(limits)) {
    const text = values[name] ?? String(name === 'seed' ? randomInt(1, 1_000_000) : usual);
    const least = name === 'seed' ? 0 : 1;
    if (!/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most) {
      return `--${name} must be a whole number from ${least} to ${most}`;
    }
    options[name] = Number(text);
  }
  return { ...options, seed: String(options.seed) };
}

async function main() {
  const options = readOptions();
  if (typeof options === 'string') {
    console.error(`${options}\n\n${HELP}`);
    return 2;
  }
  const { seconds, payouts, seed } = options;
  console.log(`chaos: ${payouts} payouts, ${seconds} s of faults, --seed ${seed}`);
  const folder = await mkdtemp(join(tmpdir(), 'alikassa-chaos-'));
  // As root the server runs as another user, which must be able to reach its folder.
  await chmod(folder, 0o711);
  const run = new Run(options, folder);
  const interrupted = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(130));
  });
  try {
    return await Promise.race([run.whole(), interrupted]);
  } finally {
    await run.end();
    if (options.keep) console.log(`files: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

/** One run: set-up, faults, settling, the check. */
class Run {
  counts = { killed: 0, frozen: 0, postgres: 0 };
  hosts = [];
  startedAt = performance.now();

  constructor(options, folder) {
    this.options = options;
    this.folder = folder;
    this.orders = planOrders(options.seed, options.payouts);
  }

  async whole() {
    await this.prepare();
    await this.disturb();
    const isSettled = await this.settle();
    const books = await readBooks(this);
    const violations = checkLedger(books);
    for (const host of this.hosts) {
      if (!(await host.end())) violations.push({ rule: 'process', detail: `${host.name} does not end on SIGTERM` });
    }
    this.show(books, violations, isSettled);
    return violations.length > 0 || !isSettled ? 1 : 0;
  }

  async prepare() {
    const keys = await generateTestKeys();
    this.simulator = await new AliKassaSimulator({
      payoutPublicKey: keys.payout.publicKey,
      notificationPrivateKey: keys.notification.privateKey,
      accounts: [{ uuid: ACCOUNT, currency: 'RUB', balance: '100000000.00' }],
      settleAfterMs: 400,
    }).start();
    for (const { faults } of this.orders) for (const fault of faults) this.simulator.script(fault);
    this.database = new Database(this.folder, await freePort());
    await this.database.start();
    await migrateUp(this.database.url, 'alikassa_worker');
    await this.database.pool.query('CREATE TABLE handled (event_id text, payout_id uuid)');
    const encryptionKeys = [{ id: 'chaos', key: randomBytes(32).toString('base64') }];
    for (const name of ['one', 'two']) {
      const port = await freePort();
      const options = {
        accounts: [{ uuid: ACCOUNT, currency: 'RUB' }],
        privateKey: keys.payout.privateKey,
        passphrase: keys.payout.passphrase,
        notificationPublicKey: keys.notification.publicKey,
        baseUrl: this.simulator.url,
        encryptionKeys,
        notificationUrl: `http://127.0.0.1:${port}/alikassa/notifications`,
        timeoutMs: 1_500,
        leaseMs: LEASE_MS,
        checkSchedule: [200, 500, 1_000],
        rejectAfterMs: 1_000,
        pauseMs: 1_000,
        worker: { sweepIntervalMs: 1_000 },
      };
      this.hosts.push(new Host(name, port, this.database.url, options, this.folder));
    }
    for (const host of this.hosts) host.start();
    await this.allUp(60_000);
  }

  /** The time of the faults; ends when Postgres and both processes run again. */
  async disturb() {
    const { seconds, seed, settle } = this.options;
    const random = (stream) => new Random(`${seed} ${stream}`);
    this.load = new Load(
      this.hosts.map(({ url }) => url),
      random('load'),
    );
    const stop = AbortSignal.timeout(seconds * 1_000);
    const giveUp = AbortSignal.timeout((seconds + settle) * 1_000);
    setMaxListeners(0, stop, giveUp);
    // Created to the end of the faults: what is created last meets them too.
    this.creating = this.load.run(this.orders, seconds * 950, giveUp);
    const progress = this.progressUntil(stop);
    await Promise.all([
      disturbProcesses(this.hosts, LEASE_MS, random('processes'), this.counts, stop),
      disturbPostgres(this.database, random('postgres'), this.counts, stop, (line) => this.say(line)),
    ]);
    await progress;
    this.say('no more faults');
    await this.allUp(60_000);
  }

  /** @returns whether nothing moved by itself any more before the time was over. */
  async settle() {
    const deadline = performance.now() + this.options.settle * 1_000;
    // Requests that lie at the provider, and answers to them, are still to come.
    const earliest = performance.now() + LATE_MS + 2_000;
    await this.creating;
    for (let shownAt = 0; ;) {
      for (const { order_id, payment_status } of this.simulator.payouts.values()) {
        // Payouts that the provider would keep waiting are paid now.
        if (payment_status === 'wait') await this.simulator.settle(order_id, 'paid');
      }
      const { counts, open } = await readProgress(this);
      if (open === 0 && performance.now() > earliest) return true;
      if (performance.now() > deadline) return false;
      if (performance.now() > shownAt + PROGRESS_MS) {
        this.sayCounts(counts, `${open} still open`);
        shownAt = performance.now();
      }
      await sleep(300);
    }
  }

  async allUp(ms) {
    const deadline = performance.now() + ms;
    while (this.hosts.some(({ state }) => state !== 'up') && performance.now() < deadline) await sleep(50);
  }

  async progressUntil(stop) {
    while (!stop.aborted) {
      // Postgres may be away.
      const read = await readProgress(this).catch(() => undefined);
      this.sayCounts(read?.counts ?? {}, read ? '' : 'database does not answer');
      await sleep(PROGRESS_MS, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  sayCounts(counts, more) {
    const statuses = Object.entries(counts).map(([status, count]) => `${status} ${count}`);
    const { killed, frozen, postgres } = this.counts;
    this.say(
      [
        `created ${this.load.acknowledged.size}/${this.orders.length}`,
        statuses.toSorted().join(', '),
        `killed ${killed}, frozen ${frozen}, Postgres ${postgres}`,
        more,
      ]
        .filter((part) => part)
        .join('; '),
    );
  }

  say(line) {
    console.log(`${((performance.now() - this.startedAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  }

  show(books, violations, isSettled) {
    const cell = (value) => String(value ?? '-').padStart(10);
    console.log(`\n${''.padEnd(26)}${['clients', 'database', 'provider'].map(cell).join('')}`);
    for (const { what, clients, database, provider } of countLedger(books)) {
      console.log(`${what.padEnd(26)}${[clients, database, provider].map(cell).join('')}`);
    }
    const { killed, frozen, postgres } = this.counts;
    const replaced = books.jobs.filter(({ isWanted }) => !isWanted).length;
    console.log(
      `\n${this.load.requests} creates sent, ${books.events.length} events, ${this.simulator.notificationsSent} ` +
        `notifications; processes killed ${killed}, frozen ${frozen}; Postgres disturbed ${postgres}; ` +
        `jobs that a dead worker's lock keeps ${replaced}`,
    );
    if (!isSettled) console.log(`not settled within ${this.options.settle} s`);
    const statuses = new Map(books.payouts.map((row) => [row.orderId, row]));
    for (const { rule, orderId, detail } of violations.slice(0, SHOWN)) {
      const row = statuses.get(orderId);
      console.log(`VIOLATION ${rule}${orderId ? ` ${orderId}${row ? ` (payout ${row.id})` : ''}` : ''}: ${detail}`);
    }
    if (violations.length > SHOWN) console.log(`... and ${violations.length - SHOWN} more`);
    const isRight = violations.length === 0 && isSettled;
    console.log(
      isRight ? 'ok: the books agree' : `FAILED: ${violations.length} violations; --seed ${this.options.seed}`,
    );
  }

  /** Leaves no process behind, whatever has happened. */
  async end() {
    await Promise.all(this.hosts.map((host) => host.end()));
    await this.simulator?.stop();
    await this.database?.stop();
  }
}

process.exit(await main());
