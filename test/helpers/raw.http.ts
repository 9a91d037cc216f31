import { once } from 'node:events';
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Status line and headers, lower-case. */
  head: string;
  body: string;
}

/**
 * Sends requests on one connection without waiting for answers, byte for byte as they are.
 * @returns the answers, in order. @throws Error if the server closes before it has given them all.
 */
export async function pipeline(port: number, requests: readonly string[]): Promise<RawAnswer[]> {
  const socket = connect({ port, host: '127.0.0.1' }).setEncoding('latin1');
  await once(socket, 'connect');
  socket.write(requests.join(''), 'latin1');
  const answers: RawAnswer[] = [];
  const isHead = requests[0]?.startsWith('HEAD') ?? false;
  let text = '';
  for await (const chunk of socket as AsyncIterable<string>) {
    text += chunk;
    for (let next = firstOf(text, isHead); next; next = firstOf(text, isHead)) {
      answers.push(next.answer);
      text = text.slice(next.length);
    }
    if (answers.length >= requests.length) break;
  }
  socket.destroy();
  if (answers.length < requests.length) throw new Error(`${answers.length} answers to ${requests.length} requests`);
  return answers;
}

/** One request on a connection of its own. */
export async function exchange(port: number, request: string): Promise<RawAnswer> {
  const [answer] = await pipeline(port, [request]);
  if (!answer) throw new Error('no answer');
  return answer;
}

/** A request's text, as simple as HTTP/1.1 allows. */
export function requestText(method: string, target: string, form?: string): string {
  const body = form ?? '';
  const headers = form === undefined ? '' : `Content-Type: application/x-www-form-urlencoded\r\n`;
  const length = form === undefined ? '' : `Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`;
  return `${method} ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}${length}\r\n${body}`;
}

/** @param isHead whether the answers tell of a body that they do not have. */
function firstOf(text: string, isHead: boolean): { answer: RawAnswer; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end).toLowerCase();
  const bytes = isHead ? 0 : Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
  const length = end + 4 + bytes;
  if (text.length < length) return undefined;
  return { answer: { status: Number(head.slice(9, 12)), head, body: text.slice(end + 4, length) }, length };
}
