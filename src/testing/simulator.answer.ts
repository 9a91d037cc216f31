import { STATUS_CODES, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { endConnection } from './simulator.connections.js';
import type { RequestFault } from './simulator.script.js';

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: string | Buffer;
}

export function json(status: number, body: object): Answer {
  return { status, body: JSON.stringify(body) };
}

/** Answers as HTTP asks for it. */
export function reply(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body);
}

/** Writes an answer byte by byte as the fault says, past Node's HTTP, which would mend it. */
export async function sendFaulty(
  response: ServerResponse,
  answer: Answer | Buffer,
  { bytes, dripMs, end = 'close' }: NonNullable<RequestFault['send']>,
  stopping: AbortSignal,
): Promise<void> {
  const { socket } = response.req;
  const whole = Buffer.isBuffer(answer) ? answer : rawAnswer(answer);
  const shown = whole.subarray(0, bytes ?? whole.length);
  if (dripMs === undefined) await new Promise((resolve) => socket.write(shown, resolve));
  else {
    for (const byte of shown) {
      if (socket.destroyed) return;
      socket.write(Buffer.of(byte));
      await sleep(dripMs, undefined, { signal: stopping });
    }
  }
  endConnection(socket, end);
}

function rawAnswer({ status, headers, body }: Answer): Buffer {
  const content = Buffer.from(body);
  const all = { 'content-type': 'application/json', 'content-length': content.length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`), content]);
}
