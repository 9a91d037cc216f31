/**
 * How long a session may keep others waiting, in milliseconds, as pg and a DataSource's `extra` take them. Each statement
 * of the module takes milliseconds and holds its locks no longer (docs/DATABASE.md, "Timeouts").
 */
export const DATABASE_TIMEOUTS = {
  /** Who waits for longer meets a stuck transaction; below the statement's, so that the error names the lock. */
  lock_timeout: 5_000,
  statement_timeout: 10_000,
  /** A process that was stopped or cut off: its locks go before those who wait for them give up. */
  idle_in_transaction_session_timeout: 10_000,
};
