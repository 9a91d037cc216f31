import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { AliKassaError, OverloadedError } from '../alikassa.errors.js';
import { errorBody, retryAfter } from '../payouts/error.body.js';
import type { NotificationFields } from '../provider/provider.types.js';
import { peekForm } from './form.peek.js';
import type { NotificationVerifier } from './notification.verifier.js';
import { Tarpit } from './tarpit.js';

const MAX_PATHS = 16;

/**
 * Refuses notifications before the framework sees them: there a request costs several times what its signature does, so
 * that a flood would starve the payouts. The endpoint verifies what has not passed here with the very same query: forms, and
 * everything where the server is not Nest's own.
 */
export class NotificationGate implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** Where the endpoint was reached: the host's prefix, version and mount are its own business. */
  private readonly paths = new Set<string>();
  private readonly tarpit = new Tarpit();
  private readonly passed = new WeakMap<object, { rawQuery: string; fields: NotificationFields }>();

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly verifier: NotificationVerifier,
  ) {}

  /** Steps in front of the framework's listeners, as Socket.IO does. */
  onApplicationBootstrap(): void {
    const server = this.adapterHost.httpAdapter?.getHttpServer() as Server | undefined;
    const listeners = server?.listeners('request') ?? [];
    if (!server || listeners.length === 0) return;
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const pass = (): void => {
        for (const listener of listeners) listener.call(server, request, response);
      };
      const { url = '', method } = request;
      if (!this.paths.has(pathOf(url))) pass();
      else if (method === 'GET') this.verify(request, response, pass);
      else if (method === 'POST' && !this.verifier.isCalm) void this.admit(request, response, pass);
      else pass();
    });
  }

  /** The server closes once every answer is out. */
  beforeApplicationShutdown(): void {
    this.tarpit.release();
  }

  /** Told by the endpoint at which URL it was reached. */
  learn(url: string): void {
    if (this.paths.size < MAX_PATHS) this.paths.add(pathOf(url));
  }

  /** What this request's notification says, if it has passed here with this query. */
  fieldsOf(request: object, rawQuery: string): NotificationFields | undefined {
    const passed = this.passed.get(request);
    return passed?.rawQuery === rawQuery ? passed.fields : undefined;
  }

  private verify(request: IncomingMessage, response: ServerResponse, pass: () => void): void {
    const rawQuery = queryOf(request.url ?? '');
    try {
      this.passed.set(request, { rawQuery, fields: this.verifier.verify(rawQuery) });
    } catch (error) {
      if (error instanceof OverloadedError) return this.hold(response, error);
      if (error instanceof AliKassaError) return write(response, error);
    }
    pass();
  }

  /** A form is verified by the endpoint; while there are too many, only one that is worth its way there passes. */
  private async admit(request: IncomingMessage, response: ServerResponse, pass: () => void): Promise<void> {
    if (this.verifier.admits(await peekForm(request))) pass();
    else this.hold(response, this.verifier.overloaded());
  }

  private hold(response: ServerResponse, error: OverloadedError): void {
    this.tarpit.hold(() => write(response, error));
  }
}

/** As text it leaves together with its headers, in one write. */
function write(response: ServerResponse, error: AliKassaError): void {
  const body = JSON.stringify(errorBody(error));
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) };
  response.writeHead(error.httpStatus, { ...headers, ...retryAfter(error) }).end(body);
}

/** What follows the `?`, undecoded. */
export function queryOf(url: string): string {
  return url.includes('?') ? url.slice(url.indexOf('?') + 1) : '';
}

/** As frameworks compare it: without the query and the last slash, in either case. */
function pathOf(url: string): string {
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  return (path.endsWith('/') ? path.slice(0, -1) : path).toLowerCase();
}
