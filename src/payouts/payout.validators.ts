import { isEmail, registerDecorator, type ValidationOptions } from 'class-validator';

/** decimal(11,2), the provider's older document (PROVIDER.md, "Create a payout"). */
export const MAX_AMOUNT = '999999999.99';
const AMOUNT = /^(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,2})?$/;
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

function rule(name: string, message: string, holds: (value: unknown) => boolean) {
  return (options?: ValidationOptions): PropertyDecorator =>
    (target, propertyKey) => {
      AsSent(target, propertyKey);
      registerDecorator({
        name,
        target: target.constructor,
        propertyName: String(propertyKey),
        options: { message, ...options },
        validator: { validate: holds },
      });
    };
}

/**
 * Keeps a field as it was sent also in the host's own controllers: a `ValidationPipe` with `enableImplicitConversion` makes
 * a value that of the type that TypeScript has noted, the number 40817810099910004312 a text of other digits.
 */
export const AsSent: PropertyDecorator = (target, propertyKey) =>
  Reflect.defineMetadata('design:type', Object, target, propertyKey);

export const AMOUNT_MESSAGE = `amount must be a decimal string above 0 and at most ${MAX_AMOUNT}, with at most two decimals, e.g. "1000.44"`;

/** A positive decimal string of at most two places; a JSON number only if it is whole, since only that is exact. */
export const IsPayoutAmount = rule('isPayoutAmount', AMOUNT_MESSAGE, (value) => {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  return typeof text === 'string' && AMOUNT.test(text) && /[1-9]/.test(text);
});

/** The provider's limits count characters, as PHP's mb_strlen does, not UTF-16 units. */
function codePoints(text: string): number {
  return Array.from(text).length;
}

function isPlainText(value: unknown, max: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value === value.trim() &&
    codePoints(value) <= max &&
    !UNPRINTABLE.test(value)
  );
}

/**
 * Text of 1 to `max` characters, without spaces around it, control characters or broken surrogates. Spaces: the provider's
 * error texts are those of a framework that trims what it gets, and an order_id that it trims would come back as another.
 */
export function IsPlainText(max: number): PropertyDecorator {
  return rule(
    'isPlainText',
    `$property must be text of 1 to ${max} characters, without spaces around it or control characters`,
    (value) => isPlainText(value, max),
  )();
}

/** A recipient's number as it is stored and searched: never trimmed or rewritten, since what is signed must be what was given. */
export const IsRecipientNumber = rule(
  'isRecipientNumber',
  'number must be 1 to 64 ASCII characters without spaces',
  (value) => typeof value === 'string' && /^[\x21-\x7e]{1,64}$/.test(value),
);

/** Looked at only as plain text: class-validator's own rule throws on a broken surrogate, and takes control characters. */
export const IsEmailAddress = rule(
  'isEmailAddress',
  '$property must be an e-mail address',
  (value) => isPlainText(value, 254) && isEmail(value),
);

/** http or https, at most 255 characters (PROVIDER.md, "Create a payout"). */
export const IsHttpUrl = rule(
  'isHttpUrl',
  '$property must be an http or https URL of at most 255 characters',
  (value) =>
    typeof value === 'string' &&
    value.length <= 255 &&
    !/[\s\p{Cc}\p{Cs}]/u.test(value) &&
    URL.canParse(value) &&
    ['http:', 'https:'].includes(new URL(value).protocol),
);

/** A day that exists and is not in the future, as YYYY-MM-DD. */
export const IsBirthDate = rule(
  'isBirthDate',
  '$property must be an existing past date as YYYY-MM-DD, e.g. "1999-12-15"',
  (value) => {
    if (typeof value !== 'string' || !/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(value)) return false;
    const time = Date.parse(`${value}T00:00:00Z`);
    if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== value) return false;
    return time < Date.now() && value >= '1900-01-01';
  },
);
