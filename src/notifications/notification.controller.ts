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
import { rawBodyOf, type RequestWithBody } from '../payouts/raw.bodies.js';
import { NotificationGate, queryOf } from './notification.gate.js';
import { NotificationService } from './notification.service.js';

/** The part of a request that is read here, the same in Express and Fastify. */
interface RequestLike extends RequestWithBody {
  url: string;
  originalUrl?: string;
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
    return this.receive(request, (await rawBodyOf(request)).toString('utf8') || queryOf(request.url));
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
