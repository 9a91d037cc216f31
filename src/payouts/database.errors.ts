import { AliKassaError, DatabaseUnavailableError } from '../alikassa.errors.js';

/**
 * Faults after which the same statement may be repeated: it was rolled back, or is conditional and so harmless twice.
 * Classes 08 (connection), 40 (rolled back), 53 (resources), 57P0x (shutdown), 25P03 and 25P04 (idle, transaction
 * timeout), 25006 (a standby: the primary is another server now), 55P03 (lock timeout), 57014 (statement timeout).
 */
const TRANSIENT_STATE = /^(?:08|40|53|57P0|25P03|25P04|25006|55P03|57014)/;
/** Classes of what ends or refuses the session itself. */
const LOST_SESSION = /^(?:08|25|28|3D|53|57P)/;
const TRANSIENT_NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN)/;
/** Of pg, pg-pool and TypeORM, which give no code. */
const TRANSIENT_TEXT =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection|client was closed|query read timeout|query runner already released/i;

/** Whether the database may answer the same statement a moment later. */
export function isTransientDatabaseError(error: unknown): boolean {
  const { code, message } = describe(error);
  return TRANSIENT_STATE.test(code) || TRANSIENT_NETWORK.test(code) || TRANSIENT_TEXT.test(message);
}

/** Whether the database has refused the statement and kept the session: without what it refused, the rest may pass. */
export function isRefusedStatement(error: unknown): boolean {
  const { code } = describe(error);
  return /^[0-9P][0-9A-Z]{4}$/.test(code) && !LOST_SESSION.test(code);
}

/** Whether another row has the value already. @param key name of the unique constraint or index, without a prefix. */
export function isTaken(error: unknown, key: string): boolean {
  if (!isErrorLike(error)) return false;
  const source = isErrorLike(error.driverError) ? error.driverError : error;
  return source.code === '23505' && typeof source.constraint === 'string' && source.constraint.endsWith(key);
}

/** Whether the error is the database's, the driver's or TypeORM's about a statement or a connection. */
export function isDatabaseError(error: unknown): boolean {
  return isTransientDatabaseError(error) || (isErrorLike(error) && ('driverError' in error || 'severity' in error));
}

/**
 * The raw error of pg or TypeORM carries the statement's parameters, recipients' data among them: this one carries the
 * SQLSTATE only.
 */
export function mappedDatabaseError(error: unknown): Error {
  if (error instanceof AliKassaError) return error;
  const { code } = describe(error);
  return new DatabaseUnavailableError(
    `The database did not complete the statement (${code || 'no code'}); repeat the call, it is idempotent.`,
  );
}

/** The work, with whatever the database says against it as an error of ours. @throws DatabaseUnavailableError */
export async function mapped<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw mappedDatabaseError(error);
  });
}

function describe(error: unknown): { code: string; message: string } {
  if (!isErrorLike(error)) return { code: '', message: '' };
  const source = isErrorLike(error.driverError) ? error.driverError : error;
  return { code: typeof source.code === 'string' ? source.code : '', message: source.message };
}

interface ErrorLike {
  message: string;
  code?: unknown;
  constraint?: unknown;
  driverError?: unknown;
}

/** By its shape: an error that Node made for code in a vm, as test runners use one, is no instance of that code's Error. */
function isErrorLike(value: unknown): value is ErrorLike {
  return typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';
}
