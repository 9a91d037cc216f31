import { STATUS_CODES } from 'node:http';
import { ApiResponse } from '@nestjs/swagger';
import { PayoutEventDto } from '../payouts/payout.dto.js';
import type { ErrorBody } from '../payouts/error.body.js';
import { describeFields } from './describe.js';

/** The body of every error. */
export class PayoutErrorDto implements ErrorBody {
  statusCode!: number;
  message!: string | string[];
  error!: string;
  code!: string;
  revision?: number;
  changes?: PayoutEventDto[];
}

/** What each `code` says. */
const ERRORS = {
  invalid_input: [400, 'The input is wrong: fix it, then send again. Nothing was stored.', 'order_id must be text'],
  notification_malformed: [400, 'It cannot be a notification of the provider.', 'sign is missing.'],
  unauthenticated: [401, 'No valid token.', 'A valid token is needed: Authorization: Bearer <token>'],
  forbidden: [403, 'The token lacks the scope.', 'The token "shop" may not do this'],
  signature_invalid: [403, 'The signature does not belong to the content.', 'The signature does not belong to it.'],
  payout_not_found: [404, 'There is no such payout: check the id.', 'There is no payout with this id.'],
  order_conflict: [
    409,
    'The order_id belongs to a payout with other content: use a new one.',
    'order_id "A-1" is taken',
  ],
  state_conflict: [409, 'The state of the payout does not allow this. Nothing was changed.', 'The payout is final.'],
  stale_revision: [412, 'The payout has changed since it was seen: look again, then decide.', 'Look at it again.'],
  revision_required: [428, 'If-Match must name the revision that was seen.', 'If-Match is required.'],
  body_too_large: [413, 'The body is too large.', 'The body is too large.'],
  unsupported_media_type: [415, 'The body is no JSON.', 'The body must be sent as application/json.'],
  internal_error: [500, 'A fault of the service; its log says more.', 'Internal server error'],
  recipient_unreadable: [
    500,
    'The payout of the order_id exists, and its encryption key is not in the ring: put the key back, then repeat.',
    'order_id "A-1" belongs to a payout',
  ],
  database_refused: [
    500,
    'The database refuses it for as long as nobody mends what the message names. Nothing was written.',
    'The database refused the statement (42501)',
  ],
  provider_unavailable: [502, 'The provider gave no usable answer: ask again later.', 'The provider did not tell'],
  database_unavailable: [503, 'The database gave no usable answer: repeat the same call; it is idempotent.', 'Repeat.'],
  overloaded: [503, 'Too many notifications at once: repeat later.', 'Too many notifications at once.'],
} as const satisfies Record<string, readonly [status: number, meaning: string, message: string]>;

export type ErrorCode = keyof typeof ERRORS;

/** What every guarded endpoint may answer. */
export const GUARDED: readonly ErrorCode[] = [
  'unauthenticated',
  'forbidden',
  'internal_error',
  'database_refused',
  'database_unavailable',
];

/** What an endpoint that reads a body may answer. */
export const WITH_BODY: readonly ErrorCode[] = ['invalid_input', 'body_too_large', 'unsupported_media_type'];

/** One response for each; those of one status share it, as examples of their codes. */
export function errorResponses(...codes: ErrorCode[]): MethodDecorator[] {
  return codes.map((code) => {
    const [status, description, message] = ERRORS[code];
    const example = { statusCode: status, message, error: STATUS_CODES[status], code };
    const headers = code === 'overloaded' ? { headers: { 'Retry-After': RETRY_AFTER } } : {};
    const examples = { [code]: { summary: code, value: example } };
    return ApiResponse({ status, description, type: PayoutErrorDto, examples, ...headers });
  });
}

export function describeErrors(): void {
  describeFields(PayoutErrorDto, 'An error. `code` is stable, `message` is for people.', {
    statusCode: { type: 'integer', minimum: 400, maximum: 599 },
    // swagger asks for a type, and drops it beside oneOf.
    message: { type: 'string', oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] },
    error: { type: 'string', description: 'The name of the HTTP status.' },
    code: { type: 'string', pattern: '^[a-z_]+$' },
    revision: {
      type: 'integer',
      required: false,
      description: 'With `stale_revision`: the revision of the payout now.',
    },
    changes: {
      type: [PayoutEventDto],
      required: false,
      description: 'With `stale_revision`: what has happened since, oldest first.',
    },
  });
}

const RETRY_AFTER = { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } } as const;
