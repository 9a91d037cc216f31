/** What the bench has told this process; it ends as soon as the bench lets go of it. */
export function readSetup() {
  process.on('disconnect', () => process.exit(0));
  return JSON.parse(process.env.ALIKASSA_BENCH ?? '{}');
}

/** Milliseconds of the machine's monotonic clock: the same in every process. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Answers every message by what `handle` makes of it; a failure ends the process, and the bench with it. */
export function answerMessages(handle) {
  const answer = async (message) => process.send(await handle(message));
  process.on('message', (message) => void answer(message));
}
