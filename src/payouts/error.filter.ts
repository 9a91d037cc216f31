import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AliKassaError } from '../alikassa.errors.js';
import { isDatabaseError, mappedDatabaseError } from './database.errors.js';
import { body, errorBody, retryAfter, type ErrorBody } from './error.body.js';

/** Codes of the errors that Nest itself makes, e.g. a guard's. */
const HTTP_CODES: Readonly<Record<number, string>> = {
  400: 'invalid_input',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  413: 'body_too_large',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
};

/** For what the HTTP server could not read: its own message may quote the body, and so the recipient. */
const UNREADABLE: Readonly<Record<number, string>> = {
  400: 'The request cannot be read: the body must be well-formed JSON, the URL well-formed UTF-8.',
  413: 'The body is too large.',
  415: 'The body must be sent as application/json in UTF-8.',
};

/**
 * Answers errors with Nest's own body and a stable `code`. The module's endpoints have it; made global by
 * `app.useGlobalFilters(new AliKassaErrorFilter(app.get(HttpAdapterHost)))` it also answers for a body that cannot be
 * read, which Nest would quote.
 */
@Catch()
export class AliKassaErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger('AliKassa');

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const { httpAdapter } = this.adapterHost;
    const response: unknown = host.switchToHttp().getResponse();
    if (httpAdapter.isHeadersSent(response)) return;
    const answer = this.bodyOf(thrown);
    for (const [name, value] of Object.entries(retryAfter(thrown))) httpAdapter.setHeader(response, name, value);
    httpAdapter.reply(response, answer, answer.statusCode);
  }

  private bodyOf(thrown: unknown): ErrorBody {
    if (thrown instanceof HttpException) return bodyOfHttp(thrown);
    const error = thrown instanceof AliKassaError ? thrown : mappedForeign(thrown);
    if (!(error instanceof AliKassaError)) {
      // Its message may quote what was sent, so only its kind is logged.
      this.logger.error(`Unexpected ${error.name}; the request was not completed.`, error.stack?.replace(/^.*\n/, ''));
      return body(500, 'Internal server error', 'internal_error');
    }
    return errorBody(error);
  }
}

function mappedForeign(thrown: unknown): Error {
  if (isDatabaseError(thrown)) return mappedDatabaseError(thrown);
  return thrown instanceof Error ? thrown : new Error('unknown');
}

function bodyOfHttp(exception: HttpException): ErrorBody {
  const statusCode = exception.getStatus();
  const unreadable = UNREADABLE[statusCode];
  // A cause: Nest made the exception from an error of the server. Nest 11 names none.
  if (unreadable && (exception.cause !== undefined || / JSON\b/.test(exception.message))) {
    return body(statusCode, unreadable, HTTP_CODES[statusCode] ?? 'http_error');
  }
  const response = exception.getResponse();
  const given = typeof response === 'object' ? (response as Partial<ErrorBody>) : { message: response };
  const fallback = body(statusCode, exception.message, HTTP_CODES[statusCode] ?? 'http_error');
  return { ...fallback, ...given, statusCode };
}
