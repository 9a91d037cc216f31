import { check, row } from '../measure.mjs';
import { barePipeline, LATENCY_MS, ourPipeline } from '../pipeline.mjs';
import { onStage } from '../stage.mjs';

/** Shown of a statement's beginning, and of its end: enough to know it by. */
const WIDTH = 64;
const SEEN_LEAST = 0.05;

/**
 * What one payout costs Postgres over its whole life: statements, transactions that wrote, bytes of WAL. The tables are
 * warm, and a checkpoint lies right before, so the first change of each page is in full: that is noted, not left out.
 */
export async function measure({ quick, say, ...options }) {
  const count = quick ? 128 : 512;
  return onStage({ ...options, inspected: true }, async (stage) => {
    const load = await stage.load();
    const provider = await stage.provider({ latencyMs: LATENCY_MS });
    const sides = {
      ours: await ourPipeline(stage, { name: 'ours', provider, load }),
      bare: await barePipeline(stage, { name: 'bare', provider, load }),
    };
    const costs = {};
    for (const [name, pipeline] of Object.entries(sides)) {
      await pipeline.rate(256);
      costs[name] = await costOf(pipeline, count);
      say(`${name}: statements of one payout`);
      for (const { calls, query } of costs[name].list) say(`  ${(calls / count).toFixed(2)}  ${query}`);
      say(`  ${costs[name].fullPages.toFixed(1)} full pages of WAL a payout, after the checkpoint`);
    }
    const { ours, bare } = costs;
    const reach = { reach: 'as few as the promises allow' };
    return [
      row('sql statements', ours.statements, bare.statements, 'a payout', reach),
      row('sql commits', ours.commits, bare.commits, 'a payout', reach),
      row('sql wal', ours.wal, bare.wal, 'bytes a payout', reach),
    ];
  });
}

async function costOf(pipeline, count) {
  const { pool } = pipeline.database;
  await pool.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  await pool.query('CHECKPOINT');
  await pool.query('SELECT /* bench */ pg_stat_statements_reset()');
  const before = await position(pool);
  await pipeline.rate(count);
  const after = await position(pool);
  const { rows } = await pool.query(
    `SELECT query, calls::int, wal_fpi::int FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND toplevel ORDER BY calls DESC`,
  );
  const own = rows.filter(({ query }) => !query.includes('/* bench */'));
  const list = own.filter(({ calls }) => calls / count >= SEEN_LEAST);
  check(list.length > 0, 'no statement was counted');
  return {
    list: list.map(({ calls, query }) => ({ calls, query: shortened(query) })),
    statements: list.reduce((sum, { calls }) => sum + calls, 0) / count,
    commits: (after.transactions - before.transactions) / count,
    wal: (after.wal - before.wal) / count,
    fullPages: own.reduce((sum, { wal_fpi: pages }) => sum + pages, 0) / count,
  };
}

function shortened(query) {
  const text = query.replace(/\s+/g, ' ');
  return text.length <= 2 * WIDTH ? text : `${text.slice(0, WIDTH)} ... ${text.slice(-WIDTH)}`;
}

/** Numbers are given to transactions that write, and to no others. */
async function position(pool) {
  const { rows } = await pool.query(
    `SELECT /* bench */ pg_snapshot_xmax(pg_current_snapshot())::text::float8 AS transactions,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal`,
  );
  return rows[0];
}
