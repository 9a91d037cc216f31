import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { DatabaseUnavailableError, InvalidInputError } from '../alikassa.errors.js';
import { remembered } from './remembered.js';

/** Transactions, and savepoints, that TypeORM is about to end: `isTransactionActive` says so only once the answer is there. */
const ending = new WeakSet<QueryRunner>();
/** What the statements of a transaction know it by; one that begins later has another. */
const marks = new WeakMap<QueryRunner, string>();
const begin = ({ queryRunner }: { queryRunner: QueryRunner }): void => {
  ending.add(queryRunner);
  marks.delete(queryRunner);
};
const end = ({ queryRunner }: { queryRunner: QueryRunner }): void => void ending.delete(queryRunner);
const watcher: EntitySubscriberInterface = {
  beforeTransactionCommit: begin,
  afterTransactionCommit: end,
  beforeTransactionRollback: begin,
  afterTransactionRollback: end,
};

/** Sees from now on how the DataSource's transactions end. Again it does nothing. */
export function watchTransactions({ subscribers }: DataSource): void {
  if (!subscribers.includes(watcher)) subscribers.push(watcher);
}

/**
 * Refuses the manager of a transaction that takes nothing more. To be asked in the turn in which a statement is sent: what
 * ends the transaction is then behind that statement. A manager without a query runner has no transaction, and passes.
 * @throws InvalidInputError, DatabaseUnavailableError (the connection was lost in the middle of it)
 */
export function requireOpen({ queryRunner }: EntityManager): void {
  if (!queryRunner) return;
  // TypeORM gives a runner back whose connection was lost, whatever it was in the middle of.
  if (queryRunner.isReleased && queryRunner.isTransactionActive) {
    throw new DatabaseUnavailableError(
      "The connection of the manager's transaction is gone, and with it what was written there; begin it anew, and repeat the call.",
    );
  }
  if (queryRunner.isReleased || !queryRunner.isTransactionActive || ending.has(queryRunner)) throw endedTransaction();
}

/** The mark of the runner's transaction as it is now. */
export function markOf(runner: QueryRunner): string {
  return remembered(marks, runner, randomUUID);
}

/** Says that nothing was written, and why. */
export function endedTransaction(): InvalidInputError {
  return new InvalidInputError([
    'manager has no transaction that is open: it has ended, is being ended, or was not begun through TypeORM; await create() within it. Nothing was written',
  ]);
}
