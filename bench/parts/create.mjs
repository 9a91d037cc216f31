import { clocksOf } from '../cpu.mjs';
import { atLeast, check, interleaved, row } from '../measure.mjs';
import { onStage } from '../stage.mjs';

const CONNECTIONS = 32;

/** Durable `POST payouts` a second, of a process that only accepts: what follows a create is `pipeline`'s. */
export async function measure({ quick, say, ...options }) {
  const seconds = quick ? 1 : 3;
  return onStage(options, async (stage) => {
    const load = await stage.load();
    const databases = {
      ours: await stage.migratedDatabase('accepting'),
      bare: await stage.database('bare'),
    };
    const targets = {
      ours: await stage.application({ database: databases.ours, worker: { enabled: false } }),
      bare: await stage.rival('insert.process.mjs', { database: databases.bare }),
    };
    const tables = { ours: 'alikassa_payouts', bare: 'payouts' };
    const created = { ours: 0, bare: 0 };
    const clocks = clocksOf(stage, targets, { load: load.process });
    const rate = async (name) => {
      const question = { kind: 'create', url: targets[name].payouts, connections: CONNECTIONS, seconds };
      const [{ ok, failed, perSecond, statuses }] = await clocks[name].during(
        () => load.ask(question),
        ([one]) => one.ok,
      );
      check(failed === 0, `${failed} creates of "${name}" failed: ${JSON.stringify(statuses)}`);
      created[name] += ok;
      return perSecond;
    };
    const sides = Object.fromEntries(Object.keys(targets).map((name) => [name, () => rate(name)]));
    const { ours, bare } = await interleaved(sides, { rounds: quick ? 2 : 5, say, warmUps: 2 });
    for (const name of Object.keys(targets)) await checkRows(databases[name].pool, tables[name], created[name], name);
    for (const [name, clock] of Object.entries(clocks))
      say(`processor time of one create, ${name}: ${clock.perUnit()}`);
    return [row('create', ours, bare, 'payouts/s', atLeast(0.6))];
  });
}

/** Each request that was answered has its row. A round ends with requests under way, so there may be a few more. */
async function checkRows(pool, table, answered, name) {
  const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${table}`);
  check(rows[0].count >= answered, `"${name}" answered ${answered} creates but holds ${rows[0].count} rows`);
}
