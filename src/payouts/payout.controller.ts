import {
  BadRequestException,
  Controller,
  Get,
  HttpCode,
  Post,
  Req,
  Res,
  UseFilters,
  UseGuards,
  type CanActivate,
  type Type,
} from '@nestjs/common';
import { RevisionRequiredError } from '../alikassa.errors.js';
import type { AccountInfoAnswer, BalanceAnswer } from '../provider/provider.types.js';
import { AliKassaErrorFilter } from './error.filter.js';
import {
  PayoutDto,
  PayoutEventDto,
  type CreatePayoutDto,
  type ResolvePayoutDto,
  type SearchPayoutsDto,
} from './payout.dto.js';
import { mounted } from './mounted.controllers.js';
import { RequireScope } from './payout.scopes.js';
import type { Payout } from './payout.entity.js';
import type { Caller } from './payout.operations.js';
import { PayoutService, type PayoutPage } from './payout.service.js';
import type { RequestWithBody } from './raw.bodies.js';
import { jsonOf, queryFields } from './request.input.js';

/**
 * The part of a request that is read here, the same in Express and Fastify. It is read itself, and never by `@Body()` and
 * the like: a global pipe of the host's changes those, e.g. a number of 20 digits into a text of other ones.
 */
interface RequestLike extends RequestWithBody {
  url: string;
  params: Readonly<Record<string, unknown>>;
  /** Left there by the host's guard. */
  user?: Readonly<Record<string, unknown>>;
}

/** The part of a response that is written here, the same in Express and Fastify. */
interface ResponseLike {
  status(code: number): unknown;
  header(name: string, value: string): unknown;
}

interface PayoutPageDto {
  data: PayoutDto[];
  next_cursor: string | null;
}

const MAX_WAIT_SECONDS = 30;
const ACTOR_PROPERTIES = ['name', 'username', 'sub', 'id'] as const;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Payouts over REST. It is mounted by the module, and only behind the host's guards. */
@UseFilters(AliKassaErrorFilter)
export class PayoutController {
  constructor(private readonly payouts: PayoutService) {}

  /** 201 for a new payout, 200 for an identical repeat. `Prefer: wait=10` waits for the provider's first answer. */
  @Post('payouts')
  @RequireScope('payouts:create')
  async create(@Req() request: RequestLike, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    const dto = (await jsonOf(request)) as CreatePayoutDto;
    const { payout, created } = await this.payouts.createOrFind(dto, callerOf(request));
    response.status(created ? 201 : 200);
    const seconds = waitSeconds(request.headers['prefer']);
    return shown(seconds > 0 ? await this.payouts.waitForAnswer(payout.id, seconds * 1000) : payout, response);
  }

  /** Newest first; `next_cursor` leads to the next page. */
  @Get('payouts')
  @RequireScope('payouts:read')
  async list(@Req() { url }: RequestLike): Promise<PayoutPageDto> {
    return pageDto(await this.payouts.list(queryFields(url)));
  }

  /**
   * The payouts to a full number, in pages as the list. The number comes in a body: proxies and servers write URLs into
   * their access logs, some of them headers too, and bodies nowhere by default.
   */
  @Post('payouts/search')
  @HttpCode(200)
  @RequireScope('payouts:read')
  async search(@Req() request: RequestLike): Promise<PayoutPageDto> {
    return pageDto(await this.payouts.search((await jsonOf(request)) as SearchPayoutsDto));
  }

  @Get('payouts/:id')
  @RequireScope('payouts:read')
  async find(@Req() request: RequestLike, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    return shown(await this.payouts.find(idOf(request)), response);
  }

  /** The payout's history, oldest first. */
  @Get('payouts/:id/events')
  @RequireScope('payouts:read')
  async events(@Req() request: RequestLike): Promise<{ data: PayoutEventDto[] }> {
    const events = await this.payouts.events(idOf(request));
    return { data: events.map((event) => PayoutEventDto.from(event)) };
  }

  /** Asks the provider now; with `If-Match` only if the payout is still the one that was seen. */
  @Post('payouts/:id/refresh')
  @HttpCode(200)
  @RequireScope('payouts:operate')
  async refresh(@Req() request: RequestLike, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    const id = idOf(request);
    const options = { ...callerOf(request), revision: seenRevision(request) };
    return shown(await this.payouts.refresh(id, options), response);
  }

  /** Takes back a payout that was never sent; `If-Match` names the revision that was seen. */
  @Post('payouts/:id/withdraw')
  @HttpCode(200)
  @RequireScope('payouts:create')
  async withdraw(@Req() request: RequestLike, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    const id = idOf(request);
    const options = { ...callerOf(request), revision: requiredRevision(request) };
    return shown(await this.payouts.withdraw(id, options), response);
  }

  /** A person's decision on a payout that is held; `If-Match` names the revision that was seen. */
  @Post('payouts/:id/resolve')
  @HttpCode(200)
  @RequireScope('payouts:operate')
  async resolve(@Req() request: RequestLike, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    const decision = (await jsonOf(request)) as ResolvePayoutDto;
    const id = idOf(request);
    const options = { ...callerOf(request), revision: requiredRevision(request) };
    return shown(await this.payouts.resolve(id, decision, options), response);
  }

  @Get('balance')
  @RequireScope('payouts:read')
  async balance(@Req() { url }: RequestLike): Promise<BalanceAnswer> {
    return this.payouts.balance(queryFields(url)['account']);
  }

  @Get('account')
  @RequireScope('payouts:read')
  async account(@Req() { url }: RequestLike): Promise<AccountInfoAnswer> {
    return this.payouts.accountInfo(queryFields(url)['account']);
  }
}

/** The controller of an instance under the host's prefix, behind the host's guards. */
export function mountPayoutController(
  prefix: string,
  guards: Type<CanActivate>[],
  instance?: string,
): Type<PayoutController> {
  @Controller(prefix)
  @UseGuards(...guards)
  class MountedPayoutController extends PayoutController {}
  return mounted(MountedPayoutController, PayoutController, [PayoutService], instance);
}

function pageDto({ data, nextCursor }: PayoutPage): PayoutPageDto {
  return { data: data.map((payout) => PayoutDto.from(payout)), next_cursor: nextCursor };
}

/** A payout with its revision as its ETag, which a decision sends back as `If-Match`. */
function shown(payout: Payout, response: ResponseLike): PayoutDto {
  response.header('ETag', `"${payout.revision}"`);
  return PayoutDto.from(payout);
}

/** `If-Match` (RFC 9110, section 13.1.1): one tag. Proxies that compress mark it as weak. */
function seenRevision({ headers }: RequestLike): number | undefined {
  const given = headers['if-match'];
  if (given === undefined) return undefined;
  const [, revision] = /^(?:W\/)?"([0-9]{1,9})"$/.exec(String(given).trim()) ?? [];
  if (revision === undefined) throw new BadRequestException('If-Match must be the ETag of the payout that was seen');
  return Number(revision);
}

/** @throws RevisionRequiredError */
function requiredRevision(request: RequestLike): number {
  const revision = seenRevision(request);
  if (revision !== undefined) return revision;
  throw new RevisionRequiredError('If-Match is required: the ETag of the payout as it was seen.');
}

/** By the first of the names under which guards and Passport's strategies leave who it is. */
function callerOf({ user }: RequestLike): Caller {
  const who = ACTOR_PROPERTIES.map((property) => user?.[property]).find((value) => value != null);
  return { actor: typeof who === 'string' || typeof who === 'number' ? String(who) : undefined };
}

function idOf({ params: { id } }: RequestLike): string {
  if (typeof id !== 'string' || !UUID.test(id)) throw new BadRequestException('id must be a uuid');
  return id.toLowerCase();
}

/** `Prefer: wait=10` (RFC 7240, section 4.3), at most 30 seconds. */
function waitSeconds(prefer: string | string[] | undefined): number {
  const wait = /(?:^|[,;\s])wait=(\d{1,4})(?=$|[,;\s])/i.exec(String(prefer ?? ''))?.[1];
  return Math.min(Number(wait ?? 0), MAX_WAIT_SECONDS);
}
