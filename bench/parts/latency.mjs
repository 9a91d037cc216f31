import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, percentile, row } from '../measure.mjs';
import { LATENCY_MS } from '../pipeline.mjs';
import { ACCOUNT, onStage } from '../stage.mjs';

const LIMITS_MS = { 50: 10, 99: 30 };
const PAUSE_MS = 20;
const WARM_UP = 30;

/**
 * From the commit of a create to the provider's sight of the request, one payout at a time. The commit's moment is
 * Postgres' own (track_commit_timestamp): the transaction that wrote the row `created` of the history.
 */
export async function measure({ quick, say, ...options }) {
  const count = quick ? 40 : 120;
  return onStage({ ...options, inspected: true }, async (stage) => {
    const provider = await stage.provider({ latencyMs: LATENCY_MS, settleAfterMs: 0 });
    const database = await stage.migratedDatabase('ours');
    const application = await stage.application({ database, baseUrl: provider.url });
    await pay(application, provider, stage.token, WARM_UP);
    say(`warm; ${count} payouts, one by one`);
    const orders = new Set(await pay(application, provider, stage.token, count));
    const arrivals = await provider.ask({ arrivals: true });
    const { rows } = await database.pool.query(
      `SELECT order_id, extract(epoch FROM pg_xact_commit_timestamp(event.xmin))::float8 * 1000 AS committed_at
       FROM alikassa_payout_events AS event JOIN alikassa_payouts AS payout ON payout.id = event.payout_id
       WHERE event.type = 'created' AND payout.status = 'paid'`,
    );
    const delays = rows
      .filter(({ order_id }) => orders.has(order_id))
      .map(({ order_id, committed_at }) => arrivals[order_id] - committed_at);
    check(delays.length === count, `${delays.length} of ${count} payouts were paid`);
    return Object.entries(LIMITS_MS).map(([percent, limit]) => {
      const reach = { reach: `<= ${limit} ms`, isReached: ({ ratio }) => ratio <= 1 };
      return row(`latency p${percent}`, percentile(delays, Number(percent)), limit, 'ms', reach);
    });
  });
}

/** The next one is created when the last one is paid, and the application has come to rest. */
async function pay(application, provider, token, count) {
  const orders = [];
  await provider.ask({ reset: true });
  for (let n = 1; n <= count; n += 1) {
    const order_id = randomUUID();
    const body = { account: ACCOUNT, amount: '12.00', number: '79005554455', service: 'qiwi_rub', order_id };
    const response = await fetch(application.payouts, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await response.arrayBuffer();
    check(response.status === 201, `a create was answered with ${response.status}`);
    const { paid } = await provider.ask({ until: n, timeoutMs: 20_000 });
    check(paid === n, `payout ${n} was not paid`);
    orders.push(order_id);
    await sleep(PAUSE_MS);
  }
  return orders;
}
