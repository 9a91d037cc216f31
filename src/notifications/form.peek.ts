import type { IncomingMessage } from 'node:http';

/** Longer than any notification's form. */
const MOST_BYTES = 8_192;

/**
 * The body of a small request as far as it is here, left in its place for whoever reads the request next. A form that is
 * sent together with its headers, as PHP's curl does, is all here.
 */
export async function peekForm(request: IncomingMessage): Promise<string> {
  if (!(Number(request.headers['content-length']) <= MOST_BYTES)) return '';
  // The parser gives the body after the headers, in the same turn.
  await new Promise((resolve) => setImmediate(resolve));
  const body = request.read() as Buffer | null;
  if (body === null) return '';
  request.unshift(body);
  return body.toString('latin1');
}
