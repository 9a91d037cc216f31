/**
 * The errors of this module, named by what the caller may do next.
 * Every message says what happened, where, and what to do. None holds a card number, a key or a signature.
 */
export abstract class AliKassaError extends Error {
  /** Stable, machine-readable name of the fault; part of the public surface. */
  abstract readonly code: string;
  /** The HTTP status that a REST answer to this error carries. */
  abstract readonly httpStatus: number;

  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** A setting is missing or wrong: mend the configuration, then start again. */
export class ConfigurationError extends AliKassaError {
  readonly code = 'configuration_invalid';
  readonly httpStatus = 500;

  /** @param setting the option or file that is at fault. */
  constructor(
    readonly setting: string,
    message: string,
  ) {
    super(`${setting}: ${message}`);
  }
}

/** The input is wrong: fix it, then send again. Nothing was stored. */
export class InvalidInputError extends AliKassaError {
  readonly code = 'invalid_input';
  readonly httpStatus = 400;

  /** @param problems one sentence each, starting with the field's name; never the field's value. */
  constructor(readonly problems: readonly string[]) {
    super(problems.join('; '));
  }
}

/** The order_id is taken by a payout with other content: use a new order_id, or repeat the first content. */
export class OrderConflictError extends AliKassaError {
  readonly code = 'order_conflict';
  readonly httpStatus = 409;
}

/** The payout's state does not allow this: read the payout, then decide. Nothing was changed. */
export class StateConflictError extends AliKassaError {
  readonly code = 'state_conflict';
  readonly httpStatus = 409;
}

/** The payout has changed since the caller looked at it: look again, then decide. Nothing was changed. */
export class StaleRevisionError extends AliKassaError {
  readonly code = 'stale_revision';
  readonly httpStatus = 412;

  /**
   * @param seen the revision that the caller named.
   * @param revision the one that the payout has now.
   * @param changes what has happened since, oldest first, as REST shows events.
   */
  constructor(
    readonly payoutId: string,
    readonly seen: number,
    readonly revision: number,
    readonly changes: readonly object[] = [],
    words = '',
  ) {
    super(
      `Payout ${payoutId} was looked at as of revision ${seen} and is at revision ${revision} now${words}. ` +
        'Look at it again, then decide.',
    );
  }
}

/** A decision does not say which revision of the payout it is about: send the one that was seen. Nothing was changed. */
export class RevisionRequiredError extends AliKassaError {
  readonly code = 'revision_required';
  readonly httpStatus = 428;
}

/** There is no such payout: check the id. */
export class PayoutNotFoundError extends AliKassaError {
  readonly code = 'payout_not_found';
  readonly httpStatus = 404;
}

/** The provider gave no usable answer to a question: ask again later. Nothing was changed. */
export class ProviderUnavailableError extends AliKassaError {
  readonly code = 'provider_unavailable';
  readonly httpStatus = 502;
}

/** The database gave no usable answer: repeat the same call; it is idempotent. */
export class DatabaseUnavailableError extends AliKassaError {
  readonly code = 'database_unavailable';
  readonly httpStatus = 503;
}

/**
 * The database refuses what it is asked, and does so again: mend what the message names, then repeat the call. Nothing was
 * written.
 */
export class DatabaseRefusedError extends AliKassaError {
  readonly code = 'database_refused';
  readonly httpStatus = 500;

  /** @param state the SQLSTATE. */
  constructor(
    message: string,
    readonly state: string,
  ) {
    super(message);
  }
}

/** More comes in than is looked at: repeat later. Nothing was changed. */
export class OverloadedError extends AliKassaError {
  readonly code = 'overloaded';
  readonly httpStatus = 503;
  readonly retryAfterSeconds = 5;
}

/** Stored recipient data cannot be read back: find the key that is missing, or the row that was changed. */
export class RecipientUnreadableError extends AliKassaError {
  readonly code = 'recipient_unreadable';
  readonly httpStatus = 500;
}

/** A text holds something PHP's json_encode refuses: fix the text. */
export class UnencodableError extends AliKassaError {
  readonly code = 'unencodable';
  readonly httpStatus = 400;
}

/**
 * A notification is not to be believed. `malformed`: it cannot be one of the provider's (a parameter is missing,
 * repeated or ill-formed). `mismatch`: its signature does not belong to its content.
 */
export class SignatureInvalidError extends AliKassaError {
  readonly code: 'notification_malformed' | 'signature_invalid';
  readonly httpStatus: 400 | 403;

  constructor(
    readonly reason: 'malformed' | 'mismatch',
    message: string,
  ) {
    super(message);
    this.code = reason === 'malformed' ? 'notification_malformed' : 'signature_invalid';
    this.httpStatus = reason === 'malformed' ? 400 : 403;
  }
}
