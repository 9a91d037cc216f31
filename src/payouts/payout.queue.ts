import { activeTraceparent } from '../instrumentation/spans.js';

/** Names and payloads of the jobs. Jobs only trigger: our own tables are the truth, so a job may come twice or late. */
export const SUBMIT_TASK = 'alikassa_submit';
export const CHECK_TASK = 'alikassa_check';
export const DELIVER_TASK = 'alikassa_deliver';
export const SWEEP_TASK = 'alikassa_sweep';

interface TracedJob {
  /** The span that added the job; absent where nothing was traced. */
  traceparent?: string;
}

export interface PayoutJob extends TracedJob {
  payoutId: string;
}

/** One call of one of the host's handlers. */
export interface DeliveryJob extends TracedJob {
  eventId: string;
  handler: string;
}

/** Job failures are repaired by the sweep; the engine's own retries only bridge a short fault. */
const MAX_ATTEMPTS = 5;

export type PayoutTask = 'submit' | 'check';

/**
 * SQL that adds a payout's job, as an expression to be selected within the statement that writes the payout, so that
 * both commit together. One key per payout and task: adding it again replaces it.
 * @param id, runAt SQL expressions of type uuid and timestamptz.
 * @param params get the active span's `traceparent` added where one is traced; without them the job starts a trace of its own.
 */
export function addPayoutJobSql(
  schema: string,
  task: PayoutTask,
  { id, runAt, params }: { id: string; runAt: string; params?: unknown[] },
): string {
  const name = task === 'submit' ? SUBMIT_TASK : CHECK_TASK;
  const payload = `json_build_object('payoutId', ${id}${traceSql(params)})`;
  return addJobSql(schema, name, payload, runAt, `'${name}:' || ${id}`);
}

/** As `addPayoutJobSql`, for the call of a handler. */
export function addDeliveryJobSql(
  schema: string,
  { eventId, handler, runAt, params }: { eventId: string; handler: string; runAt: string; params?: unknown[] },
): string {
  // The id travels as text: it is a bigint.
  const payload = `json_build_object('eventId', ${eventId}::text, 'handler', ${handler}${traceSql(params)})`;
  return addJobSql(schema, DELIVER_TASK, payload, runAt, `'${DELIVER_TASK}:' || ${eventId} || ':' || ${handler}`);
}

/** SQL that asks for a sweep; one at a time, whoever asks. */
export function addSweepJobSql(schema: string): string {
  return `SELECT "${schema}".add_job('${SWEEP_TASK}', '{}'::json, max_attempts := 1, job_key := '${SWEEP_TASK}')`;
}

/** What the sweep looks for. */
export interface Overdue {
  /** Overdue by so many milliseconds. */
  overdueMs: number;
  /** At most so many. */
  limit: number;
  /** A job that is locked for less is taken to run. */
  runMs: number;
}

/**
 * Statement that adds the jobs of what is overdue and has none that will run soon: it was never written (a restored
 * backup), was used up, or is locked by a worker that may be dead. Adding a job again while it is locked gives exactly
 * one more run; one that merely waits its turn is left alone, so that a backlog keeps its order.
 * Its parameters are those of `Overdue`, in their order.
 * @param overdue SQL that selects `due_at`, `job_key` and what `addJob` names.
 */
export function addMissingJobsSql({
  schema,
  overdue,
  addJob,
}: Readonly<Record<'schema' | 'overdue' | 'addJob', string>>): string {
  return `WITH overdue AS (
      SELECT * FROM (${overdue}) AS candidate
      WHERE due_at < clock_timestamp() - $1 * interval '1 ms' AND NOT EXISTS (
        SELECT 1 FROM "${schema}".jobs AS job
        WHERE job.key = candidate.job_key AND CASE WHEN job.locked_at IS NULL
          THEN job.attempts < job.max_attempts AND job.run_at <= clock_timestamp() + $1 * interval '1 ms'
          ELSE job.locked_at > clock_timestamp() - $3 * interval '1 ms' END)
      ORDER BY due_at LIMIT $2
    ) SELECT ${addJob} FROM overdue`;
}

/** Statement that frees the jobs of engines that have ended; their ids are parameter $1, a text[]. */
export function unlockJobsSql(schema: string): string {
  return `SELECT "${schema}".force_unlock_workers($1)`;
}

/** Statement that frees the jobs of engines that have held one for more than $1 milliseconds. */
export function unlockStaleJobsSql(schema: string): string {
  return `SELECT "${schema}".force_unlock_workers(array_agg(DISTINCT locked_by))
    FROM "${schema}".jobs WHERE locked_at < clock_timestamp() - $1 * interval '1 ms' HAVING count(*) > 0`;
}

function traceSql(params: unknown[] | undefined): string {
  const traceparent = params && activeTraceparent();
  if (!traceparent) return '';
  params.push(traceparent);
  return `, 'traceparent', $${params.length}::text`;
}

function addJobSql(schema: string, task: string, payload: string, runAt: string, key: string): string {
  return `"${schema}".add_job('${task}', ${payload}, run_at := ${runAt},
    max_attempts := ${MAX_ATTEMPTS}, job_key := ${key})`;
}
