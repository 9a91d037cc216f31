import { prepare } from '../helpers/application.js';
import { startHostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';

const LOCK = 4_711;

it('11: killed after the result was committed, before the handler was called -> called after restart, with the same event id', async () => {
  const { database, simulator, options, port, stop } = await prepare({ options: { leaseMs: 3_000 } });
  const { pool } = database;
  // Every call of a handler is taken by an update: there the process waits until it is killed.
  await pool.query(`
    CREATE TABLE handled (event_id bigint, payout_id uuid);
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${LOCK}); RETURN NEW; END $$;
    CREATE TRIGGER wait_here BEFORE UPDATE ON alikassa_deliveries FOR EACH ROW EXECUTE FUNCTION wait_here()`);
  const holder = await pool.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [LOCK]);

  const setup = { databaseUrl: database.url, port, options, hasHandler: true };
  const first = await startHostProcess(setup);
  const response = await fetch(`${first.url}/alikassa/payouts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload({ order_id: 'handled-1' })),
  });
  const { id } = (await response.json()) as { id: string };
  await until(async () => {
    const waiting = await pool.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND query ~ 'deliveries'",
    );
    return waiting.rowCount === 1;
  });
  await first.kill('SIGKILL');
  // Nothing tells Postgres of the death while it waits: without this the call would count as begun.
  await pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'");
  const { rows: owed } = await pool.query<{ event_id: string; to_status: string }>(
    'SELECT event_id, to_status FROM alikassa_deliveries JOIN alikassa_payout_events e ON e.id = event_id',
  );
  expect(owed).toEqual([{ event_id: expect.any(String) as string, to_status: 'paid' }]);
  expect((await pool.query('SELECT * FROM handled')).rows).toEqual([]);
  await holder.query('SELECT pg_advisory_unlock($1)', [LOCK]);
  holder.release();

  const second = await startHostProcess(setup);
  const handled = async () => (await pool.query('SELECT event_id, payout_id FROM handled')).rows as object[];
  await until(async () => (await handled()).length > 0);
  await until(async () => (await pool.query('SELECT 1 FROM alikassa_deliveries')).rowCount === 0);
  expect(await handled()).toEqual([{ event_id: owed[0]?.event_id, payout_id: id }]);
  expect(simulator.accepted('handled-1')).toBe(1);
  await second.kill('SIGTERM');
  await stop();
});
