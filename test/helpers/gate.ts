import type { TestDatabase } from './database.js';
import { until } from './until.js';

/** A place in the database's work where every statement waits until the test lets it go on. */
export interface Gate {
  /** Resolves when somebody waits there. */
  reached(): Promise<void>;
  /** Ends the sessions that wait, as Postgres would once it notices that their client is dead. */
  terminate(): Promise<void>;
  open(): Promise<void>;
}

let lastLock = 5_000;

/**
 * A trigger that waits on a lock which the test holds: so a process can be stopped at a named moment of a statement.
 * @param trigger what comes before `EXECUTE FUNCTION`, with `wait_here` for the trigger's name.
 */
export async function closedGate({ pool }: TestDatabase, trigger: string): Promise<Gate> {
  const lock = ++lastLock;
  await pool.query(`
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${lock}); RETURN NEW; END $$;
    CREATE ${trigger} EXECUTE FUNCTION wait_here()`);
  const holder = await pool.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [lock]);
  const waiting = "FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()";
  return {
    reached: () => until(async () => ((await pool.query(`SELECT 1 ${waiting}`)).rowCount ?? 0) > 0),
    terminate: async () => void (await pool.query(`SELECT pg_terminate_backend(pid) ${waiting}`)),
    open: async () => {
      await holder.query('SELECT pg_advisory_unlock($1)', [lock]);
      holder.release();
    },
  };
}
