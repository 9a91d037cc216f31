import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { OnApplicationBootstrap } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { AliKassaError } from '../alikassa.errors.js';
import { errorBody, retryAfter } from '../payouts/error.body.js';
import type { NotificationVerifier } from './notification.verifier.js';

const MAX_PATHS = 16;

/**
 * Refuses notifications before the framework sees them: there a request costs several times what its signature does, so
 * that a flood would starve the payouts. What passes here is verified again by the endpoint, which trusts nobody; without
 * this gate (a server that is not Nest's own) it does all by itself.
 */
export class NotificationGate implements OnApplicationBootstrap {
  /** Where the endpoint was reached: the host's prefix, version and mount are its own business. */
  private readonly paths = new Set<string>();

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
      if (this.refuses(request, response)) return;
      for (const listener of listeners) listener.call(server, request, response);
    });
  }

  /** Told by the endpoint at which URL it was reached. */
  learn(url: string): void {
    if (this.paths.size < MAX_PATHS) this.paths.add(pathOf(url));
  }

  private refuses(request: IncomingMessage, response: ServerResponse): boolean {
    const { url = '', method } = request;
    if ((method !== 'GET' && method !== 'POST') || !this.paths.has(pathOf(url))) return false;
    try {
      // The body of a form is not here yet: it is only turned away once there are too many.
      if (method === 'GET') this.verifier.verify(queryOf(url));
      else this.verifier.admit();
      return false;
    } catch (error) {
      if (!(error instanceof AliKassaError)) return false;
      // As text it leaves together with its headers, in one write.
      const body = JSON.stringify(errorBody(error));
      const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) };
      response.writeHead(error.httpStatus, { ...headers, ...retryAfter(error) }).end(body);
      return true;
    }
  }
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
