import type { DataSource } from 'typeorm';
import { DEFAULT_INSTANCE, type ResolvedOptions } from '../alikassa.options.js';
import { activeTraceparent } from '../instrumentation/spans.js';
import { lockBound, type Bind } from './database.statements.js';
import { functionPath } from './database.tables.js';

/**
 * Where an instance's jobs are, and what they are called. Jobs only trigger: our own tables are the truth, so a job may
 * come twice or late.
 */
export interface JobQueue {
  /** Of the engine. */
  schema: string;
  /** Names of its tasks, which no other instance takes. */
  tasks: Readonly<Record<'submit' | 'check' | 'deliver' | 'sweep', string>>;
}

export function jobQueueOf({ instance, worker }: Pick<ResolvedOptions, 'instance' | 'worker'>): JobQueue {
  const end = instance === DEFAULT_INSTANCE ? '' : `_${instance}`;
  return {
    schema: worker.schema,
    tasks: {
      submit: `alikassa_submit${end}`,
      check: `alikassa_check${end}`,
      deliver: `alikassa_deliver${end}`,
      sweep: `alikassa_sweep${end}`,
    },
  };
}

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

/** SQL expressions that a payout's job is made of. */
interface PayoutJobParts {
  /** Of type uuid. */
  id: string;
  /** Of type timestamptz. */
  runAt: string;
  /** Of type text: the span that the job belongs to. */
  traceparent?: string;
}

/** As `PayoutJobParts`, of the call of a handler. */
interface DeliveryJobParts {
  /** Of type bigint. */
  eventId: string;
  handler: string;
  runAt: string;
  traceparent?: string;
}

/** SQL of one job, for `addJobsSql`. One key per payout and task: adding it again replaces it. */
export function payoutJobSql(
  { schema, tasks }: JobQueue,
  task: PayoutTask,
  { id, runAt, traceparent }: PayoutJobParts,
): string {
  const name = tasks[task];
  return jobSql(schema, name, payloadSql(`'payoutId', ${id}`, traceparent), runAt, `'${name}:' || ${id}`);
}

/** SQL of one call of a handler, for `addJobsSql`. */
export function deliveryJobSql(
  { schema, tasks }: JobQueue,
  { eventId, handler, runAt, traceparent }: DeliveryJobParts,
): string {
  // The id travels as text: it is a bigint.
  const payload = payloadSql(`'eventId', ${eventId}::text, 'handler', ${handler}`, traceparent);
  return jobSql(schema, tasks.deliver, payload, runAt, `'${tasks.deliver}:' || ${eventId} || ':' || ${handler}`);
}

/**
 * SQL that adds jobs, as an expression to be selected within the statement that writes what they are for, so that both
 * commit together; it says how many.
 * @param jobs SQL of an array of them, not empty.
 */
export function addJobsSql(dataSource: DataSource, { schema }: JobQueue, jobs: string): string {
  return `${functionPath(dataSource, 'alikassa_add_jobs')}('${schema}', ${jobs})`;
}

/** SQL that asks for a sweep; one at a time, whoever asks. It keeps its place in a backlog that it is asked for in again. */
export function addSweepJobSql({ schema, tasks }: JobQueue): string {
  return `SELECT "${schema}".add_job('${tasks.sweep}', '{}'::json, max_attempts := 1, job_key := '${tasks.sweep}',
    job_key_mode := 'preserve_run_at')`;
}

/** How long the sweep waits for a job that another transaction holds. */
export const SWEEP_LOCK_MS = 1_000;

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
 * Its parameters are those of `Overdue`, in their order; its one row says how many it has `added`, and there is none for 0.
 * @param overdue SQL that selects `due_at`, `job_key` and what `job` names.
 * @param job SQL of a job.
 */
export function addMissingJobsSql(
  dataSource: DataSource,
  queue: JobQueue,
  { overdue, job }: Readonly<Record<'overdue' | 'job', string>>,
): string {
  return `WITH ${lockBound(SWEEP_LOCK_MS)}, overdue AS (
      SELECT * FROM (${overdue}) AS candidate
      WHERE due_at < clock_timestamp() - $1 * interval '1 ms' AND NOT EXISTS (
        SELECT 1 FROM "${queue.schema}".jobs AS job
        WHERE job.key = candidate.job_key AND CASE WHEN job.locked_at IS NULL
          THEN job.attempts < job.max_attempts AND job.run_at <= clock_timestamp() + $1 * interval '1 ms'
          ELSE job.locked_at > clock_timestamp() - $3 * interval '1 ms' END)
      ORDER BY due_at LIMIT $2
    ) SELECT ${addJobsSql(dataSource, queue, `array_agg(${job} ORDER BY due_at)`)} AS added FROM overdue, bound HAVING count(*) > 0`;
}

/** Statement that frees the jobs of engines that have ended; their ids are parameter $1, a text[]. */
export function unlockJobsSql(schema: string): string {
  return `SELECT "${schema}".force_unlock_workers($1)`;
}

/** Statement that frees the jobs of the instance's engines that have held one for more than $1 milliseconds. */
export function unlockStaleJobsSql({ schema, tasks }: JobQueue): string {
  const own = Object.values(tasks).map((task) => `'${task}'`);
  return `WITH ${lockBound(SWEEP_LOCK_MS)} SELECT "${schema}".force_unlock_workers(array_agg(DISTINCT locked_by))
    FROM "${schema}".jobs, bound WHERE locked_at < clock_timestamp() - $1 * interval '1 ms'
      AND task_identifier IN (${own.join(', ')}) HAVING count(*) > 0`;
}

/** SQL of the active span for `traceparent`; undefined where nothing is traced. */
export function activeTraceSql(bind: Bind): string | undefined {
  const traceparent = activeTraceparent();
  return traceparent && bind(traceparent, 'text');
}

function payloadSql(members: string, traceparent: string | undefined): string {
  return `json_build_object(${members}${traceparent ? `, 'traceparent', ${traceparent}` : ''})`;
}

function jobSql(schema: string, task: string, payload: string, runAt: string, key: string): string {
  return `ROW('${task}', ${payload}, NULL, ${runAt}, ${MAX_ATTEMPTS}, ${key}, NULL, NULL)::"${schema}".job_spec`;
}
