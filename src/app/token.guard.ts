import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ForbiddenException,
  Inject,
  Injectable,
  UnauthorizedException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RequireScope, type PayoutScope } from '../payouts/payout.scopes.js';
import type { ApiToken } from './config.values.js';

/** Injection token of the tokens that the guard accepts: `ApiToken[]`. */
export const API_TOKENS = Symbol('API_TOKENS');

/** RFC 6750, section 3. */
const CHALLENGE = 'Bearer realm="alikassa"';

/** Who calls, as the guard leaves it on the request. */
export interface ApiUser {
  name: string;
  scopes: PayoutScope[];
}

interface RequestLike {
  headers: Record<string, string | string[] | undefined>;
  user?: ApiUser;
}

interface ResponseLike {
  setHeader(name: string, value: string): unknown;
}

/**
 * `Authorization: Bearer <token>` against the configured digests: 401 without a known token, 403 without the scope that
 * the endpoint names. An endpoint that names none is closed.
 */
@Injectable()
export class TokenGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(API_TOKENS) private readonly tokens: ApiToken[],
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<RequestLike>();
    const challenge = (attributes: string): unknown =>
      context
        .switchToHttp()
        .getResponse<ResponseLike>()
        .setHeader('WWW-Authenticate', CHALLENGE + attributes);
    const { authorization } = request.headers;
    const token = this.find(bearerOf(authorization));
    if (!token) {
      challenge(authorization === undefined ? '' : ', error="invalid_token"');
      throw new UnauthorizedException({
        statusCode: 401,
        message: 'A valid token is needed: Authorization: Bearer <token>',
        error: 'Unauthorized',
        code: 'unauthenticated',
      });
    }
    const scope = this.reflector.getAllAndOverride(RequireScope, [context.getHandler(), context.getClass()]);
    if (scope === undefined || !token.scopes.includes(scope)) {
      challenge(`, error="insufficient_scope"${scope ? `, scope="${scope}"` : ''}`);
      throw new ForbiddenException({
        statusCode: 403,
        message: `The token "${token.name}" may not do this${scope ? `: it lacks the scope ${scope}` : ''}`,
        error: 'Forbidden',
        code: 'forbidden',
      });
    }
    request.user = { name: token.name, scopes: token.scopes };
    return true;
  }

  /** Compares with every digest, so that the time taken tells nothing about which one was near. */
  private find(presented: string | undefined): ApiToken | undefined {
    if (presented === undefined) return undefined;
    const digest = createHash('sha256').update(presented, 'utf8').digest();
    let found: ApiToken | undefined;
    for (const token of this.tokens) {
      if (timingSafeEqual(token.digest, digest)) found = token;
    }
    return found;
  }
}

function bearerOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1] : undefined;
}
