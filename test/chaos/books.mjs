import { alarmsIn } from './ledger.mjs';

/** How long an answer may be on its way that was true before the database went back, and the request of a claim that it has forgotten. */
export const LINGER_MS = 4_500;

/** @returns {(at: number) => boolean} whether what was done then may be forgotten. @param losses `{ from, to }` of each promotion. */
export function forgetful(losses) {
  return (at) => losses.some(({ from, to }) => at >= from && at <= to + LINGER_MS);
}

/**
 * Both sides of the ledger as plain data: what the clients were told, what the database holds, what the provider saw.
 * Reads the database in one snapshot.
 */
export async function readBooks({ orders, load, people, watch, losses, database, simulator, hosts }) {
  const { payouts, events, jobs, handled } = await readDatabase(database.pool);
  const mayBeForgotten = forgetful(losses);
  const byOrder = (list) => Object.fromEntries(orders.map(({ orderId }) => [orderId, list(orderId)]));
  watch.note();
  const answering = await Promise.all(hosts.map((host) => host.answers()));
  return {
    orders: orders.map(({ orderId }) => orderId),
    promotions: losses.length,
    acknowledged: byOrder((orderId) =>
      (load.acknowledged.get(orderId) ?? []).map(({ id, isNew, at }) => ({
        id,
        isNew,
        mayBeForgotten: mayBeForgotten(at),
      })),
    ),
    refused: load.refused.map(({ orderId, status, body }) => ({ orderId, why: `${status} ${JSON.stringify(body)}` })),
    decisions: people.decisions.map(({ seenAt, answers, ...decision }) => ({
      ...decision,
      isOfForgotten: mayBeForgotten(seenAt),
      answers: answers.map(({ status, at }) => ({ status, mayBeForgotten: mayBeForgotten(at) })),
    })),
    payouts,
    events,
    jobs,
    handled,
    submissions: byOrder((orderId) =>
      (watch.submissions.get(orderId) ?? []).map(({ at, request }) => ({
        status: request.httpStatus,
        mayBeForgotten: mayBeForgotten(at),
      })),
    ),
    accepted: byOrder((orderId) => simulator.accepted(orderId)),
    provider: [...simulator.payouts.values()].map(({ id, order_id, payment_status, payment_amount }) => ({
      id: String(id),
      orderId: order_id,
      status: payment_status,
      paymentAmount: payment_amount,
    })),
    faults: [
      ...hosts.flatMap(({ crashes }) => crashes),
      ...hosts.filter((_, index) => !answering[index]).map(({ name }) => `${name} does not answer at the end`),
      ...(simulator.signatureFailures > 0 ? [`${simulator.signatureFailures} requests were not validly signed`] : []),
    ],
  };
}

/** How far the payouts have come, how many still move by themselves, and how many only a person can end. */
export async function readProgress({ database, simulator }) {
  const { rows } = await database.pool.query(
    `SELECT status, attention, count(*)::int AS count, array_agg(order_id) FILTER (WHERE status = 'unknown') AS orders
     FROM alikassa_payouts GROUP BY status, attention`,
  );
  const counts = {};
  let open = 0;
  let forPeople = 0;
  for (const { status, attention, count, orders } of rows) {
    counts[status] = (counts[status] ?? 0) + count;
    if ((status === 'wait' || status === 'unknown') && alarmsIn(attention).includes('attempts_unaccounted')) {
      forPeople += count;
    }
    const isHeld = alarmsIn(attention).some((alarm) => !alarm.startsWith('paused_'));
    if (status === 'sending' || status === 'wait' || (status === 'queued' && !isHeld)) open += count;
    if (status === 'unknown') open += isHeld ? orders.filter((order) => simulator.payouts.has(order)).length : count;
  }
  const [calls] = (await database.pool.query('SELECT count(*)::int AS count FROM alikassa_deliveries')).rows;
  return { counts, open: open + calls.count, forPeople };
}

async function readDatabase(pool) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const payouts = await client.query(
      `SELECT id, order_id AS "orderId", status, attempt, possibly_sent AS "possiblySent", attention,
         provider_id AS "providerId", payment_amount AS "paymentAmount", due_at IS NOT NULL AS "isScheduled"
       FROM alikassa_payouts ORDER BY seq`,
    );
    const events = await client.query(
      `SELECT payout_id AS "payoutId", type, from_status AS "from", to_status AS "to",
         coalesce(detail->>'outcome', '') AS outcome, coalesce(detail->>'reason', '') AS reason, revision FROM alikassa_payout_events ORDER BY id`,
    );
    // A job without a key has been replaced: its dead worker's lock holds nothing up.
    const jobs = await client.query(
      `SELECT task.identifier || ' ' || coalesce(job.key, '(replaced)') AS name, job.key IS NOT NULL AS "isWanted",
         extract(epoch FROM clock_timestamp() - job.locked_at)::float8 AS "lockedSeconds"
       FROM alikassa_worker._private_jobs job JOIN alikassa_worker._private_tasks task ON task.id = job.task_id
       WHERE job.locked_at IS NOT NULL`,
    );
    const handled = await client.query('SELECT payout_id AS "payoutId", event_id AS "eventId" FROM handled');
    await client.query('COMMIT');
    return { payouts: payouts.rows, events: events.rows, jobs: jobs.rows, handled: handled.rows };
  } finally {
    client.release();
  }
}
