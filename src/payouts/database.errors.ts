import { AliKassaError, DatabaseRefusedError, DatabaseUnavailableError } from '../alikassa.errors.js';

/**
 * Faults after which the same statement may be repeated: it was rolled back, or is conditional and so harmless twice.
 * Classes 08 (connection), 40 (rolled back), 53 (resources), 57P0x (shutdown), 25P03 and 25P04 (idle, transaction
 * timeout), 25006 (a standby: the primary is another server now), 55P03 (lock timeout), 57014 (statement timeout).
 */
const TRANSIENT_STATE = /^(?:08|40|53|57P0|25P03|25P04|25006|55P03|57014)/;
/** And those in which the whole transaction or a later connection may do: the other states of the classes 25 and 55. */
const REPEATABLE_STATE = /^(?:25|55)/;
/** Classes of what ends or refuses the session itself. */
const LOST_SESSION = /^(?:08|25|28|3D|53|57P)/;
/** Ends the name of the unique key: a host may put a prefix before its tables. */
const PROVIDER_ID_KEY = 'alikassa_payouts_provider_id_key';
/** A state of Postgres, or of its procedural languages. */
const STATE = /^[0-9A-Z]{5}$/;
const TRANSIENT_NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN)/;
/** Of pg, pg-pool and TypeORM, which give no code. */
const TRANSIENT_TEXT =
  /connection terminated|timeout exceeded when trying to connect|client has encountered a connection|client was closed|query read timeout|query runner already released/i;

const POOLER =
  'a pooler gives its sessions to others between statements; connect directly, or let it keep prepared statements';
const OTHER_TABLES =
  "its tables are not those of this version; run the module's migrations, and look for what was changed by hand";
/** What to do about what does not pass by itself, by the beginning of its state. */
const MENDS: readonly (readonly [state: string, mend: string])[] = [
  ['25006', 'it is read only; connect to the primary, or end its recovery'],
  ['53100', 'its disk is full; make room'],
  ['42501', "the application's role lacks a privilege; grant it (docs/DATABASE.md)"],
  ['42P05', POOLER],
  ['26000', POOLER],
  ['42', OTHER_TABLES],
  ['3F', OTHER_TABLES],
  ['3D', 'the database does not exist any more; mend the address'],
  ['28', 'the role or its password is refused; mend them'],
  ['22', "it cannot store a value of the call; for a text, look at the database's encoding, which must be UTF8"],
  ['23', "a rule of the table refuses the row; look for a constraint, index or trigger that is not the module's own"],
  ['P0', "a trigger or function refuses it; look for one that is not the module's own"],
];

/** Whether the database may answer the same statement a moment later. */
export function isTransientDatabaseError(error: unknown): boolean {
  const { code, message } = describe(error);
  return TRANSIENT_STATE.test(code) || TRANSIENT_NETWORK.test(code) || TRANSIENT_TEXT.test(message);
}

/** Whether the database refuses the statement for as long as nobody mends what is wrong. */
export function isLastingFault(error: unknown): boolean {
  const { code } = describe(error);
  return isPermanentState(code) || code === '25006' || code === '53100';
}

/** Whether the database has refused the statement and kept the session: without what it refused, the rest may pass. */
export function isRefusedStatement(error: unknown): boolean {
  const { code } = describe(error);
  return STATE.test(code) && /^[0-9P]/.test(code) && !LOST_SESSION.test(code);
}

/** Whether the statement has waited too long for what another transaction holds: a lock timeout, or a canceled wait. */
export function isHeldUp(error: unknown): boolean {
  return /^(?:55P03|57014)$/.test(describe(error).code);
}

/** Whether the provider's id belongs to another payout already: an answer to tell of, no fault of the database. */
export function isProviderIdTaken(error: unknown): boolean {
  if (!isErrorLike(error)) return false;
  const { code, constraint } = isErrorLike(error.driverError) ? error.driverError : error;
  return code === '23505' && typeof constraint === 'string' && constraint.endsWith(PROVIDER_ID_KEY);
}

/** Whether the error is the database's, the driver's or TypeORM's about a statement or a connection. */
export function isDatabaseError(error: unknown): boolean {
  return isTransientDatabaseError(error) || (isErrorLike(error) && ('driverError' in error || 'severity' in error));
}

/** SQLSTATE, or the network's code; `none` where there is neither. */
export function stateOf(error: unknown): string {
  return describe(error).code || 'none';
}

/** What to do about a state that does not pass by itself. */
export function mendOf(state: string): string {
  return MENDS.find(([start]) => state.startsWith(start))?.[1] ?? "look at Postgres' log";
}

/**
 * The raw error of pg or TypeORM carries the statement's parameters, recipients' data among them: this one carries the
 * SQLSTATE only.
 */
export function mappedDatabaseError(error: unknown): Error {
  if (error instanceof AliKassaError) return error;
  const { code } = describe(error);
  if (isPermanentState(code)) {
    return new DatabaseRefusedError(
      `The database refused the statement (${code}), and nothing was written: ${mendOf(code)}. ` +
        'Repeating the call does not help before.',
      code,
    );
  }
  return new DatabaseUnavailableError(
    `The database did not complete the statement (${code || 'no code'}); repeat the call, it is idempotent.`,
  );
}

/**
 * The work, with whatever the database says against it as an error of ours.
 * @throws DatabaseUnavailableError, DatabaseRefusedError
 */
export async function mapped<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw mappedDatabaseError(error);
  });
}

function isPermanentState(code: string): boolean {
  // Codes of the network have five characters too (EPIPE), but no digit.
  return STATE.test(code) && /\d/.test(code) && !TRANSIENT_STATE.test(code) && !REPEATABLE_STATE.test(code);
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
