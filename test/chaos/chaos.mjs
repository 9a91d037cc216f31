import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../dist/src/app/free.port.js';
import { migrateUp } from '../../dist/src/app/database.js';
import { AliKassaSimulator, generateTestKeys } from '../../dist/src/testing/index.js';
import { forgetful, LINGER_MS, readBooks, readProgress } from './books.mjs';
import { Database } from './database.mjs';
import { disturbPostgres, disturbProcesses, planPromotions } from './faults.mjs';
import { Host } from './host.mjs';
import { checkLedger } from './ledger.mjs';
import { Load } from './load.mjs';
import { HELP, readOptions } from './options.mjs';
import { ACCOUNT, LATE_MS, planOrders } from './orders.mjs';
import { People } from './people.mjs';
import { ProviderWatch } from './provider.watch.mjs';
import { Random } from './random.mjs';
import { countDecisions, showReport } from './report.mjs';

const LEASE_MS = 3_000;
/** A request leaves within its lease, and then may lie at the provider: "not found" says nothing before that is over. */
const REJECT_AFTER_MS = LEASE_MS + LATE_MS;
/** Whoever repeats a create does it by then: new payouts are asked about first for so long after a promotion. */
const ASK_FIRST_MS = 20_000;
const PROGRESS_MS = 2_000;
/** So few open payouts are those that people have just set in motion again. */
const NEARLY = 10;

async function main() {
  const options = readOptions();
  if (typeof options === 'string') {
    console.error(`${options}\n\n${HELP}`);
    return 2;
  }
  const { seconds, payouts, promotions, seed } = options;
  console.log(`chaos: ${payouts} payouts, ${seconds} s of faults, ${promotions} promotions, --seed ${seed}`);
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
  counts = { killed: 0, frozen: 0, caught: 0, postgres: 0, promoted: 0 };
  hosts = [];
  /** When what was acknowledged may have been lost: `{ from, to }` of each promotion. */
  losses = [];
  /** What clients do after the faults, and because of them. */
  repeats = [];
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
    const heldUp = this.hosts.reduce((sum, host) => sum + host.heldUp, 0);
    showReport({ run: this, books, violations, isSettled, heldUp });
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
    this.watch = new ProviderWatch(this.simulator);
    this.database = new Database(this.folder, await freePort(), this.options.keep);
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
        rejectAfterMs: REJECT_AFTER_MS,
        followUpSchedule: [2_000, 5_000, 10_000],
        askFirstAfterRestoreMs: ASK_FIRST_MS,
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
    const { seconds, seed, settle, promotions } = this.options;
    const random = (stream) => new Random(`${seed} ${stream}`);
    const urls = this.hosts.map(({ url }) => url);
    this.load = new Load(urls, random('load'));
    this.people = new People(urls, this.watch, seed);
    const stop = AbortSignal.timeout(seconds * 1_000);
    const giveUp = AbortSignal.timeout((seconds + settle) * 1_000);
    setMaxListeners(0, stop, giveUp);
    // Created to the end of the faults: what is created last meets them too.
    this.creating = this.load.run(this.orders, seconds * 950, giveUp);
    this.startPeople();
    const progress = this.progressUntil(stop);
    const { hosts, database, watch, counts } = this;
    const postgres = {
      database,
      counts,
      report: (line) => this.say(line),
      promotions: planPromotions(promotions, seconds, random('promotions')),
      onLoss: (loss) => this.lose(loss, giveUp),
    };
    await Promise.all([
      disturbProcesses({ hosts, database, watch, leaseMs: LEASE_MS, counts }, random('processes'), stop),
      disturbPostgres(postgres, random('postgres'), stop),
    ]);
    await progress;
    this.say('no more faults');
    await this.allUp(60_000);
  }

  /** Takes note of a promotion; clients repeat what may be gone when the last answers from before it have come. */
  lose(loss, giveUp) {
    this.losses.push(loss);
    const mayBeForgotten = forgetful([loss]);
    this.repeats.push(sleep(LINGER_MS).then(() => this.load.repeatForgotten(this.orders, mayBeForgotten, giveUp)));
  }

  startPeople() {
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const work = this.people.work(stop.signal);
    this.endPeople = async () => {
      this.endPeople = undefined;
      stop.abort();
      await work;
    };
  }

  /** @returns whether nothing moved by itself any more before the time was over. */
  async settle() {
    const deadline = performance.now() + this.options.settle * 1_000;
    // Requests that lie at the provider, and answers to them, are still to come.
    const earliest = performance.now() + LATE_MS + 2_000;
    await this.creating;
    await Promise.all(this.repeats);
    for (let shownAt = 0; ;) {
      for (const { order_id, payment_status } of this.simulator.payouts.values()) {
        // Payouts that the provider would keep waiting are paid now.
        if (payment_status === 'wait') await this.simulator.settle(order_id, 'paid');
      }
      const { counts, open, forPeople } = await readProgress(this);
      const isOver = performance.now() > deadline;
      // They would go on setting payouts in motion; what only they can end they end.
      if (this.endPeople && (isOver || (open <= NEARLY && forPeople === 0))) await this.endPeople();
      else if (isOver) return false;
      else if (!this.endPeople && forPeople > 0) this.startPeople();
      else if (!this.endPeople && open === 0 && performance.now() > earliest) return true;
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
    const { killed, frozen, caught, postgres, promoted } = this.counts;
    const { made, refused } = countDecisions(this.people.decisions);
    this.say(
      [
        `created ${this.load.acknowledged.size}/${this.orders.length}`,
        statuses.toSorted().join(', '),
        `killed ${killed}, frozen ${frozen} (${caught} before the first byte), Postgres ${postgres}, promoted ${promoted}`,
        `decided ${made}, refused ${refused}`,
        more,
      ]
        .filter((part) => part)
        .join('; '),
    );
  }

  say(line) {
    console.log(`${((performance.now() - this.startedAt) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  }

  /** Leaves no process behind, whatever has happened. */
  async end() {
    await Promise.all(this.hosts.map((host) => host.end()));
    this.watch?.end();
    await this.simulator?.stop();
    await this.database?.stop();
  }
}

process.exit(await main());
