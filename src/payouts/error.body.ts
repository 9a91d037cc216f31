import { STATUS_CODES } from 'node:http';
import { InvalidInputError, OverloadedError, type AliKassaError } from '../alikassa.errors.js';

/** Nest's own body of an error, and a stable `code`. */
export interface ErrorBody {
  statusCode: number;
  message: string | readonly string[];
  error: string;
  code: string;
}

export function errorBody(error: AliKassaError): ErrorBody {
  return body(error.httpStatus, error instanceof InvalidInputError ? error.problems : error.message, error.code);
}

export function body(statusCode: number, message: string | readonly string[], code: string): ErrorBody {
  return { statusCode, message, error: STATUS_CODES[statusCode] ?? 'Error', code };
}

/** The header that tells when to repeat, where the error knows. */
export function retryAfter(error: unknown): Record<string, string> {
  return error instanceof OverloadedError ? { 'retry-after': String(error.retryAfterSeconds) } : {};
}
