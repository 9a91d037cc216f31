import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCOUNT } from './processes.mjs';

/** Payouts that are not at the provider yet: enough that the worker never waits for one. */
const BACKLOG = 60;
const IN_FLIGHT = 16;
const LOOK_MS = 50;

/** Creates payouts by REST as fast as the application sends them on. */
export class Load {
  /** Creates that were not answered with 201. */
  failed = 0;
  inFlight = 0;
  isOn = true;

  constructor(processes) {
    this.processes = processes;
  }

  async run() {
    while (this.isOn) {
      const room = BACKLOG - (await this.backlog());
      const until = performance.now() + LOOK_MS;
      for (let created = 0; this.isOn && performance.now() < until; await sleep(2)) {
        for (; created < room && this.inFlight < IN_FLIGHT; created += 1) void this.create();
      }
    }
    while (this.inFlight > 0) await sleep(10);
  }

  async create() {
    this.inFlight += 1;
    const order = { account: ACCOUNT, amount: '12.00', number: '79005554455', service: 'qiwi_rub' };
    try {
      const response = await fetch(`${this.processes.url}/alikassa/payouts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...order, order_id: randomUUID() }),
      });
      await response.arrayBuffer();
      if (response.status !== 201) this.failed += 1;
    } catch {
      this.failed += 1;
    } finally {
      this.inFlight -= 1;
    }
  }

  async backlog() {
    const sql = "SELECT count(*)::int AS open FROM alikassa_payouts WHERE status IN ('queued', 'sending')";
    return (await this.processes.pool.query(sql)).rows[0].open;
  }
}
