import { AliKassaError, DatabaseUnavailableError } from '../alikassa.errors.js';

/**
 * Faults after which the same statement may be repeated: it was rolled back, or is conditional and so harmless twice.
 * Classes 08 (connection), 40 (rolled back), 53 (resources), 57P0x (shutdown), 25P03 (idle), 55P03 (lock timeout).
 */
const TRANSIENT_STATE = /^(?:08|40|53|57P0|25P03|55P03|57014)/;
const TRANSIENT_NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)/;
const TRANSIENT_TEXT =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection/i;

/** Whether the database may answer the same statement a moment later. */
export function isTransientDatabaseError(error: unknown): boolean {
  const { code, message } = describe(error);
  return TRANSIENT_STATE.test(code) || TRANSIENT_NETWORK.test(code) || TRANSIENT_TEXT.test(message);
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

function describe(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: '' };
  const driver: unknown = 'driverError' in error ? error.driverError : error;
  const source = driver instanceof Error ? driver : error;
  const code = 'code' in source && typeof source.code === 'string' ? source.code : '';
  return { code, message: source.message };
}
