import { InvalidInputError } from '../alikassa.errors.js';

/** Keyset paging by the order of creation; the cursor is opaque to the caller. */
export function encodeCursor(seq: string): string {
  return Buffer.from(seq).toString('base64url');
}

/** @throws InvalidInputError */
export function decodeCursor(cursor: string): string {
  const seq = Buffer.from(cursor, 'base64url').toString();
  if (!/^[1-9][0-9]{0,17}$/.test(seq)) {
    throw new InvalidInputError(['cursor must be the next_cursor of an earlier page']);
  }
  return seq;
}
