import { STATUS_CODES } from 'node:http';
import { InvalidInputError, OverloadedError, StaleRevisionError, type AliKassaError } from '../alikassa.errors.js';

/** Nest's own body of an error, and a stable `code`. */
export interface ErrorBody {
  statusCode: number;
  message: string | readonly string[];
  error: string;
  code: string;
  /** After a stale decision: the payout's revision now. */
  revision?: number;
  /** After a stale decision: what has happened since the revision that was seen, oldest first. */
  changes?: readonly object[];
}

export function errorBody(error: AliKassaError): ErrorBody {
  const message = error instanceof InvalidInputError ? error.problems : error.message;
  const answer = body(error.httpStatus, message, error.code);
  return error instanceof StaleRevisionError ? { ...answer, revision: error.revision, changes: error.changes } : answer;
}

export function body(statusCode: number, message: string | readonly string[], code: string): ErrorBody {
  return { statusCode, message, error: STATUS_CODES[statusCode] ?? 'Error', code };
}

/** The header that tells when to repeat, where the error knows. */
export function retryAfter(error: unknown): Record<string, string> {
  return error instanceof OverloadedError ? { 'retry-after': String(error.retryAfterSeconds) } : {};
}
