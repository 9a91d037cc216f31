import { countLedger } from './ledger.mjs';

const SHOWN = 40;

/** Decisions that were carried out, and ones that were not: the payout had changed, or the provider knew it. */
export function countDecisions(decisions) {
  const has = (status) => (decision) => decision.answers.some((answer) => answer.status === status);
  const made = decisions.filter(has(200)).length;
  const refused = decisions.filter((one) => !has(200)(one) && (has(409)(one) || has(412)(one))).length;
  return { made, refused, repeats: decisions.reduce((sum, { answers }) => sum + answers.length, 0) - decisions.length };
}

/** Prints what each side counts, what was done, and each violation. */
export function showReport({ run, books, violations, isSettled, heldUp }) {
  const cell = (value) => String(value ?? '-').padStart(10);
  console.log(`\n${''.padEnd(26)}${['clients', 'database', 'provider'].map(cell).join('')}`);
  for (const { what, clients, database, provider } of countLedger(books)) {
    console.log(`${what.padEnd(26)}${[clients, database, provider].map(cell).join('')}`);
  }
  const { killed, frozen, caught, postgres, promoted } = run.counts;
  const { made, refused, repeats } = countDecisions(books.decisions);
  const replaced = books.jobs.filter(({ isWanted }) => !isWanted).length;
  const after = books.events.filter(({ type }) => type === 'restored').length;
  console.log(
    `\n${run.load.requests} creates sent, ${books.events.length} events, ${run.simulator.notificationsSent} ` +
      `notifications; processes killed ${killed}, frozen ${frozen} (${caught} with a payout that was claimed and not sent), attempts held up past their lease and not sent ` +
      `${heldUp}; Postgres disturbed ${postgres}, standbys promoted ${promoted}, payouts asked about after it ${after}, ` +
      `creates repeated after it ${run.load.repeated.size}; ${books.decisions.length} decisions, sent ${repeats} times ` +
      `more: ${made} made, ${refused} refused; jobs that a dead worker's lock keeps ${replaced}`,
  );
  if (!isSettled) console.log(`not settled within ${run.options.settle} s`);
  const statuses = new Map(books.payouts.map((row) => [row.orderId, row]));
  for (const { rule, orderId, detail } of violations.slice(0, SHOWN)) {
    const row = statuses.get(orderId);
    console.log(`VIOLATION ${rule}${orderId ? ` ${orderId}${row ? ` (payout ${row.id})` : ''}` : ''}: ${detail}`);
  }
  if (violations.length > SHOWN) console.log(`... and ${violations.length - SHOWN} more`);
  const isRight = violations.length === 0 && isSettled;
  console.log(isRight ? 'ok: the books agree' : `FAILED: ${violations.length} violations; --seed ${run.options.seed}`);
}
