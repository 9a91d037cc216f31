import { setTimeout as sleep } from 'node:timers/promises';
import { check } from './measure.mjs';
import { WORKER_SCHEMA } from './stage.mjs';

const CONNECTIONS = 32;
const TIMEOUT_MS = 120_000;
const DRAIN_MS = 60_000;

/** The latency of the provider: it holds up a job whoever runs it. */
export const LATENCY_MS = 20;
/** Jobs at once, on both sides: with 20 ms at the provider the default of 10 would hold either side back. */
const CONCURRENCY = 32;
/** Where several of our processes run at once: each opens 12 connections more, of the 100 that Postgres takes by default. */
export const SHARED_CONCURRENCY = 16;

/** Our side, on a new database unless one is given. */
export async function ourPipeline(stage, { name, database, provider, load, processes = 1, concurrency = CONCURRENCY }) {
  const own = database ?? (await stage.migratedDatabase(name));
  const applications = [];
  const options = { database: own, baseUrl: provider.url, worker: { concurrency } };
  for (let n = 0; n < processes; n += 1) applications.push(await stage.application(options));
  const tables = { schema: WORKER_SCHEMA, table: 'alikassa_payouts' };
  return new Pipeline({ name, provider, load, database: own, applications, ...tables });
}

/** The rival: `rivals/task.process.mjs`. */
export async function barePipeline(stage, { name, provider, load }) {
  const database = await stage.database(name);
  const setup = { database, baseUrl: provider.url, concurrency: CONCURRENCY };
  const applications = [await stage.rival('task.process.mjs', setup)];
  return new Pipeline({ name, provider, load, database, applications, schema: 'graphile_worker' });
}

/** Payouts from the first create to the last acknowledged notification, on one side. */
export class Pipeline {
  paid = 0;

  /**
   * @param {object} options
   * @param {{ url: string, pool: import('pg').Pool }} options.database of the side
   * @param {string} options.schema of its job engine
   * @param {string} [options.table] of its payouts, where it keeps any
   * @param {{ payouts: string }[]} options.applications that share the load
   */
  constructor({ name, provider, load, database, schema, table, applications }) {
    Object.assign(this, { name, provider, load, database, schema, table, applications });
  }

  /** Pays `count` payouts. @returns how many a second. */
  async rate(count) {
    await this.provider.ask({ reset: true });
    const share = { amount: count / this.applications.length, connections: CONNECTIONS / this.applications.length };
    const paid = this.provider.ask({ until: count, timeoutMs: TIMEOUT_MS });
    // Where the load fails first, nobody waits for this any more.
    paid.catch(() => undefined);
    const all = this.applications.map(({ payouts }) => ({ kind: 'create', url: payouts, ...share }));
    const loads = await this.load.ask({ all });
    for (const { failed, statuses } of loads) check(failed === 0, `creates failed: ${JSON.stringify(statuses)}`);
    const result = await paid;
    this.checkPaid(result, count);
    this.paid += count;
    await this.checkRows();
    const startedAt = Math.min(...loads.map((one) => one.startedAt));
    return count / ((result.lastAt - startedAt + (await this.tidied())) / 1_000);
  }

  /** Each was accepted by the provider once, and its notification was acknowledged. */
  checkPaid({ paid, received, acceptedTwice, badSignature }, count) {
    check(badSignature === 0, `"${this.name}" sent ${badSignature} requests with a bad signature`);
    check(acceptedTwice === 0, `"${this.name}" paid ${acceptedTwice} payouts twice`);
    check(
      paid === count && received === count,
      `"${this.name}": of ${count} payouts ${received} were sent, ${paid} paid`,
    );
  }

  async checkRows() {
    if (!this.table) return;
    const sql = `SELECT /* bench */ count(*)::int AS paid FROM ${this.table} WHERE status = 'paid' AND order_id NOT LIKE 'old-%'`;
    const { rows } = await this.database.pool.query(sql);
    check(rows[0].paid === this.paid, `"${this.name}" has ${rows[0].paid} paid rows instead of ${this.paid}`);
  }

  /**
   * A payout that is paid may leave a job for later, e.g. its first status call. That is work of this side too: it is made
   * due at once rather than waited for, and its time counts.
   * @returns {Promise<number>} milliseconds until no job was left.
   */
  async tidied() {
    const { pool } = this.database;
    const startedAt = performance.now();
    const due = `UPDATE /* bench */ ${this.schema}._private_jobs SET run_at = now() WHERE run_at > now()`;
    const { rowCount } = await pool.query(due);
    // As the engine tells of new jobs: it would look only every other second by itself.
    if (rowCount > 0)
      await pool.query(`SELECT /* bench */ pg_notify('jobs:insert', '{"r":"bench","count":${rowCount}}')`);
    for (;;) {
      const { rows } = await pool.query(`SELECT /* bench */ count(*)::int AS left FROM ${this.schema}._private_jobs`);
      if (rows[0].left === 0) return rowCount > 0 ? performance.now() - startedAt : 0;
      check(performance.now() - startedAt < DRAIN_MS, `"${this.name}" still has ${rows[0].left} jobs`);
      await sleep(10);
    }
  }
}
