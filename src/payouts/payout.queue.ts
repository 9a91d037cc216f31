/** Names and payloads of the jobs. Jobs only trigger: the payouts table is the truth, so a job may come twice or late. */
export const SUBMIT_TASK = 'alikassa_submit';
export const CHECK_TASK = 'alikassa_check';
export const SWEEP_TASK = 'alikassa_sweep';

export interface PayoutJob {
  payoutId: string;
}

/** Job failures are repaired by the sweep; the engine's own retries only bridge a short fault. */
const MAX_ATTEMPTS = 5;

export type PayoutTask = 'submit' | 'check';

/**
 * SQL that adds a payout's job, as an expression to be selected within the statement that writes the payout, so that
 * both commit together. One key per payout and task: adding it again replaces it.
 * @param id, runAt SQL expressions of type uuid and timestamptz.
 */
export function addPayoutJobSql(schema: string, task: PayoutTask, id: string, runAt: string): string {
  const name = task === 'submit' ? SUBMIT_TASK : CHECK_TASK;
  return `"${schema}".add_job('${name}', json_build_object('payoutId', ${id}), run_at := ${runAt},
    max_attempts := ${MAX_ATTEMPTS}, job_key := '${name}:' || ${id})`;
}

/** SQL that asks for a sweep; one at a time, whoever asks. */
export function addSweepJobSql(schema: string): string {
  return `SELECT "${schema}".add_job('${SWEEP_TASK}', '{}'::json, max_attempts := 1, job_key := '${SWEEP_TASK}')`;
}
