import {
  BadRequestException,
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Param,
  Post,
  Query,
  Req,
  Res,
  UnsupportedMediaTypeException,
  UseFilters,
  UseGuards,
  type CanActivate,
  type Type,
} from '@nestjs/common';
import { InvalidInputError, RevisionRequiredError } from '../alikassa.errors.js';
import type { AccountInfoAnswer, BalanceAnswer } from '../provider/provider.types.js';
import { AliKassaErrorFilter } from './error.filter.js';
import {
  CreatePayoutDto,
  ListPayoutsDto,
  PayoutDto,
  PayoutEventDto,
  ResolvePayoutDto,
  SearchPayoutsDto,
} from './payout.dto.js';
import { mounted } from './mounted.controllers.js';
import { RequireScope } from './payout.scopes.js';
import type { Payout } from './payout.entity.js';
import type { Caller } from './payout.operations.js';
import { PayoutService, type PayoutPage } from './payout.service.js';
import { AMOUNT_MESSAGE } from './payout.validators.js';

/** The part of a request that is read here, the same in Express and Fastify. */
interface RequestLike {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Left there by the host's guard. */
  user?: Readonly<Record<string, unknown>>;
  /** Where the host keeps it. */
  rawBody?: Buffer;
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
  async create(
    @Body() dto: CreatePayoutDto,
    @Headers('prefer') prefer: string | undefined,
    @Req() request: RequestLike,
    @Res({ passthrough: true }) response: ResponseLike,
  ): Promise<PayoutDto> {
    requireJson(request);
    requireExactAmount(dto, request.rawBody);
    const { payout, created } = await this.payouts.createOrFind(dto, callerOf(request));
    response.status(created ? 201 : 200);
    const seconds = waitSeconds(prefer);
    return shown(seconds > 0 ? await this.payouts.waitForAnswer(payout.id, seconds * 1000) : payout, response);
  }

  /** Newest first; `next_cursor` leads to the next page. */
  @Get('payouts')
  @RequireScope('payouts:read')
  async list(@Query() filter: ListPayoutsDto): Promise<PayoutPageDto> {
    return pageDto(await this.payouts.list(filter));
  }

  /**
   * The payouts to a full number, in pages as the list. The number comes in a body: proxies and servers write URLs into
   * their access logs, some of them headers too, and bodies nowhere by default.
   */
  @Post('payouts/search')
  @HttpCode(200)
  @RequireScope('payouts:read')
  async search(@Body() filter: SearchPayoutsDto, @Req() request: RequestLike): Promise<PayoutPageDto> {
    requireJson(request);
    return pageDto(await this.payouts.search(filter));
  }

  @Get('payouts/:id')
  @RequireScope('payouts:read')
  async find(@Param('id') id: string, @Res({ passthrough: true }) response: ResponseLike): Promise<PayoutDto> {
    return shown(await this.payouts.find(checkedId(id)), response);
  }

  /** The payout's history, oldest first. */
  @Get('payouts/:id/events')
  @RequireScope('payouts:read')
  async events(@Param('id') id: string): Promise<{ data: PayoutEventDto[] }> {
    const events = await this.payouts.events(checkedId(id));
    return { data: events.map((event) => PayoutEventDto.from(event)) };
  }

  /** Asks the provider now; with `If-Match` only if the payout is still the one that was seen. */
  @Post('payouts/:id/refresh')
  @HttpCode(200)
  @RequireScope('payouts:operate')
  async refresh(
    @Param('id') id: string,
    @Req() request: RequestLike,
    @Res({ passthrough: true }) response: ResponseLike,
  ): Promise<PayoutDto> {
    const payoutId = checkedId(id);
    const options = { ...callerOf(request), revision: seenRevision(request) };
    return shown(await this.payouts.refresh(payoutId, options), response);
  }

  /** Takes back a payout that was never sent; `If-Match` names the revision that was seen. */
  @Post('payouts/:id/withdraw')
  @HttpCode(200)
  @RequireScope('payouts:create')
  async withdraw(
    @Param('id') id: string,
    @Req() request: RequestLike,
    @Res({ passthrough: true }) response: ResponseLike,
  ): Promise<PayoutDto> {
    const payoutId = checkedId(id);
    const options = { ...callerOf(request), revision: requiredRevision(request) };
    return shown(await this.payouts.withdraw(payoutId, options), response);
  }

  /** A person's decision on a payout that is held; `If-Match` names the revision that was seen. */
  @Post('payouts/:id/resolve')
  @HttpCode(200)
  @RequireScope('payouts:operate')
  async resolve(
    @Param('id') id: string,
    @Body() decision: ResolvePayoutDto,
    @Req() request: RequestLike,
    @Res({ passthrough: true }) response: ResponseLike,
  ): Promise<PayoutDto> {
    requireJson(request);
    const payoutId = checkedId(id);
    const options = { ...callerOf(request), revision: requiredRevision(request) };
    return shown(await this.payouts.resolve(payoutId, decision, options), response);
  }

  @Get('balance')
  @RequireScope('payouts:read')
  async balance(@Query('account') account: string | undefined): Promise<BalanceAnswer> {
    return this.payouts.balance(oneOf('account', account));
  }

  @Get('account')
  @RequireScope('payouts:read')
  async account(@Query('account') account: string | undefined): Promise<AccountInfoAnswer> {
    return this.payouts.accountInfo(oneOf('account', account));
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

function requireJson({ headers }: RequestLike): void {
  if (!/^application\/json\s*(?:;|$)/i.test(String(headers['content-type'] ?? ''))) {
    throw new UnsupportedMediaTypeException('The body must be sent as application/json.');
  }
}

/** Parsed, 1e3 and 500.000000000000000001 are whole: where the raw body is at hand, a number is taken as digits alone. */
function requireExactAmount(dto: CreatePayoutDto | undefined, rawBody: Buffer | undefined): void {
  const amount = dto?.amount;
  if (!rawBody || typeof amount !== 'number' || !Number.isSafeInteger(amount)) return;
  const isDigits = new RegExp(`"amount"\\s*:\\s*${amount}\\s*[,}]`).test(rawBody.toString('latin1'));
  if (!isDigits) throw new InvalidInputError([AMOUNT_MESSAGE]);
}

function checkedId(id: string): string {
  if (!UUID.test(id)) throw new BadRequestException('id must be a uuid');
  return id.toLowerCase();
}

function oneOf(name: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new BadRequestException(`${name} must be given once`);
}

/** `Prefer: wait=10` (RFC 7240, section 4.3), at most 30 seconds. */
function waitSeconds(prefer: string | undefined): number {
  const wait = /(?:^|[,;\s])wait=(\d{1,4})(?=$|[,;\s])/i.exec(prefer ?? '')?.[1];
  return Math.min(Number(wait ?? 0), MAX_WAIT_SECONDS);
}
