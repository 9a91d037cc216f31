import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import {
  BadRequestException,
  PayloadTooLargeException,
  UnsupportedMediaTypeException,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';

/** Node's own: every request of every HTTP/1 server of the process, before the first byte of its body. */
const REQUEST_START = 'http.server.request.start';
/** Nest's own limit for JSON; no body of ours comes near it. */
const MOST_BYTES = 102_400;
const READ_HERE = /^application\/(?:json|x-www-form-urlencoded)\s*(?:;|$)/i;

/** The part of a request that its body is found by, the same in Express and Fastify. */
export interface RequestWithBody {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Node's own request, where the framework's is another object. */
  raw?: object;
  /** Kept by Nest, where the host has asked for that. */
  rawBody?: Buffer;
}

/** The part of Fastify that is used here: requests that no server of Node's has taken (HTTP/2, `inject()`) pass it too. */
interface FastifyLike {
  addHook(name: 'onRequest', hook: (request: { raw: IncomingMessage }, reply: unknown, done: () => void) => void): void;
}

/** The bytes of a body as far as they have come; none of one that is too long. */
class KeptBody {
  private chunks: Buffer[] = [];
  private size = 0;

  add(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.isTooLong) this.chunks = [];
    else this.chunks.push(chunk);
  }

  get isTooLong(): boolean {
    return this.size > MOST_BYTES;
  }

  /** @throws PayloadTooLargeException */
  bytes(): Buffer {
    if (this.isTooLong) throw new PayloadTooLargeException('The body is too large.');
    return Buffer.concat(this.chunks);
  }
}

const bodies = new WeakMap<object, KeptBody>();

/**
 * Keeps the bytes of JSON and form bodies while the host's own parser reads them: what a parser makes of them has lost
 * repeated names, digits of long numbers and the difference between 1e3 and 1000.
 */
export class RawBodies implements OnModuleInit, OnApplicationShutdown {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  onModuleInit(): void {
    const { httpAdapter } = this.adapterHost;
    if (!httpAdapter) return;
    subscribe(REQUEST_START, this.begin);
    if (httpAdapter.getType() === 'fastify') {
      (httpAdapter.getInstance() as FastifyLike).addHook('onRequest', ({ raw }, _, done) => {
        keep(raw);
        done();
      });
    }
  }

  onApplicationShutdown(): void {
    unsubscribe(REQUEST_START, this.begin);
  }

  private readonly begin = (message: unknown): void => keep((message as { request: IncomingMessage }).request);
}

/** Every byte comes by `push`, whoever reads the stream and however. */
function keep(request: IncomingMessage): void {
  if (bodies.has(request) || !READ_HERE.test(request.headers['content-type'] ?? '')) return;
  // Bytes that have come already would be missing.
  if (request.readableDidRead || request.readableLength > 0) return;
  const body = new KeptBody();
  bodies.set(request, body);
  const push = request.push.bind(request);
  request.push = (chunk: Buffer | string | null, encoding?: BufferEncoding): boolean => {
    if (chunk !== null) body.add(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
    return push(chunk, encoding);
  };
}

/**
 * The body's bytes as they were sent, whatever the host's parser has made of them; they are read here where nobody has.
 * @throws UnsupportedMediaTypeException where they cannot be had, PayloadTooLargeException, BadRequestException
 */
export async function rawBodyOf(request: RequestWithBody): Promise<Buffer> {
  // A host's own middleware may leave anything under this name.
  const stream = (request.raw instanceof Readable ? request.raw : request) as IncomingMessage;
  // A parser that unpacks gives Nest what was packed.
  const isPacked = !/^(?:identity)?$/i.test(String(request.headers['content-encoding'] ?? '').trim());
  const kept = isPacked ? undefined : (bodies.get(stream) ?? (stream.readableDidRead ? undefined : collect(stream)));
  if (kept) {
    if (!stream.readableEnded) await ended(stream, kept);
    return kept.bytes();
  }
  if (Buffer.isBuffer(request.rawBody)) return request.rawBody;
  throw new UnsupportedMediaTypeException(
    isPacked
      ? 'The body must be sent without a Content-Encoding.'
      : 'The body was read before it could be kept as it was sent; start the application with rawBody: true.',
  );
}

function collect(stream: IncomingMessage): KeptBody {
  const body = new KeptBody();
  bodies.set(stream, body);
  stream.on('data', (chunk: Buffer) => body.add(chunk));
  return body;
}

async function ended(stream: IncomingMessage, body: KeptBody): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.once('end', resolve);
    stream.once('close', () => reject(new BadRequestException('The body has not come whole.')));
    stream.on('data', () => {
      if (!body.isTooLong) return;
      stream.pause();
      resolve();
    });
    stream.resume();
  });
}
