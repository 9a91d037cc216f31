import {
  Controller,
  Get,
  Head,
  HttpCode,
  MethodNotAllowedException,
  Post,
  Req,
  UseFilters,
  type Type,
} from '@nestjs/common';
import { AliKassaErrorFilter } from '../payouts/error.filter.js';
import { mounted } from '../payouts/mounted.controllers.js';
import { NotificationGate, queryOf } from './notification.gate.js';
import { NotificationService } from './notification.service.js';

/** The part of a request that is read here, the same in Express and Fastify. */
interface RequestLike {
  url: string;
  originalUrl?: string;
  method: string;
  body?: unknown;
  rawBody?: Buffer;
  /** Node's own request, where the framework's is another object. */
  raw?: object;
}

/**
 * Where the provider sends its notifications: GET by the documents, POST form in production (PROVIDER.md,
 * "Notifications"). No guard: a notification carries its own signature.
 */
@UseFilters(AliKassaErrorFilter)
export class NotificationController {
  constructor(
    private readonly notifications: NotificationService,
    private readonly gate: NotificationGate,
  ) {}

  /** HEAD would otherwise be served as GET: it must change nothing. */
  @Head('notifications')
  head(): never {
    throw new MethodNotAllowedException('Notifications come by GET or POST.');
  }

  @Get('notifications')
  async get(@Req() request: RequestLike): Promise<{ status: 'ok' }> {
    return this.receive(request, queryOf(request.url));
  }

  @Post('notifications')
  @HttpCode(200)
  async post(@Req() request: RequestLike): Promise<{ status: 'ok' }> {
    return this.receive(request, formOf(request));
  }

  private async receive(request: RequestLike, rawQuery: string): Promise<{ status: 'ok' }> {
    const { originalUrl, url, raw = request } = request;
    this.gate.learn(originalUrl ?? url);
    await this.notifications.receive(rawQuery, this.gate.fieldsOf(raw, rawQuery));
    return { status: 'ok' };
  }
}

/** The controller of an instance under the host's prefix. */
export function mountNotificationController(prefix: string, instance?: string): Type<NotificationController> {
  @Controller(prefix)
  class MountedNotificationController extends NotificationController {}
  const parts = [NotificationService, NotificationGate];
  return mounted(MountedNotificationController, NotificationController, parts, instance);
}

/**
 * The form as it came where the host keeps raw bodies; else written again from the parsed fields. The signature is over
 * the decoded values, so both give the same result; a repeated parameter is an array and stays a repetition.
 */
function formOf({ url, body, rawBody }: RequestLike): string {
  if (rawBody?.length) return rawBody.toString('utf8');
  if (typeof body !== 'object' || body === null || Object.keys(body).length === 0) {
    return queryOf(url);
  }
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(body)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, String(one));
  }
  return form.toString();
}
