import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import { In, type DataSource, type EntityManager, type FindOptionsWhere } from 'typeorm';
import {
  InvalidInputError,
  OrderConflictError,
  PayoutNotFoundError,
  ProviderUnavailableError,
  StateConflictError,
} from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { annotate, traced } from '../instrumentation/spans.js';
import { phpJsonEncode } from '../provider/php-json.js';
import type { AliKassaClient } from '../provider/provider.client.js';
import type { AccountInfoAnswer, BalanceAnswer, ProviderOutcome } from '../provider/provider.types.js';
import { maskNumber } from './card.number.js';
import { onConnection } from './database.connections.js';
import { mapped } from './database.errors.js';
import { ListPayoutsDto, ResolvePayoutDto, SearchPayoutsDto, type CreatePayoutDto } from './payout.dto.js';
import { Payout, PayoutEvent } from './payout.entity.js';
import type { PayoutIntake } from './payout.intake.js';
import { decodeCursor, encodeCursor } from './payout.page.js';
import { contentOf, providerRequest, twoDecimals } from './payout.request.js';
import type { PayoutStore } from './payout.store.js';
import { accountOf, validated, validatedCreate } from './payout.validation.js';
import type { RecipientCipher } from './recipient.cipher.js';

/** Who asks: kept in the payout's events. */
export interface Caller {
  actor?: string | undefined;
}

/** What else `create` takes. */
export interface CreateOptions extends Caller {
  /** The caller's transaction, on the DataSource of the payouts; without it, `create` makes one of its own. */
  manager?: EntityManager | undefined;
}

interface CreatedPayout {
  payout: Payout;
  created: boolean;
}

/** One page of payouts, newest first. */
export interface PayoutPage {
  data: Payout[];
  /** Pass it as `cursor` to get the next page; null on the last one. */
  nextCursor: string | null;
}

const PAGE = 20;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Pays out, and answers for what was paid. */
@Injectable()
export class PayoutService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    private readonly store: PayoutStore,
    private readonly intake: PayoutIntake,
    private readonly cipher: RecipientCipher,
    private readonly client: AliKassaClient,
  ) {}

  /**
   * Accepts a payout: row, first event and job are written in one statement; a worker then sends it. Idempotent by
   * `order_id`: the same content again returns the existing payout.
   * @throws InvalidInputError, OrderConflictError, DatabaseUnavailableError
   */
  async create(dto: CreatePayoutDto, options: CreateOptions = {}): Promise<Payout> {
    return (await this.createOrFind(dto, options)).payout;
  }

  /** `create`, and whether the payout is new. */
  async createOrFind(input: CreatePayoutDto, options: CreateOptions = {}): Promise<CreatedPayout> {
    return traced('alikassa.payout.create', { kind: SpanKind.PRODUCER }, () => this.accept(input, options));
  }

  private async accept(input: CreatePayoutDto, options: CreateOptions): Promise<CreatedPayout> {
    const { dto, account } = validatedCreate(input, this.options.accounts);
    const content = contentOf(dto, account.uuid);
    const body = phpJsonEncode(providerRequest(dto, this.options.notificationUrl));
    const id = randomUUID();
    const { keyId, ciphertext } = this.cipher.seal(id, body);
    const manager = this.managerOf(options);
    const row = {
      id,
      orderId: dto.order_id,
      account: account.uuid,
      currency: account.currency,
      amount: twoDecimals(String(dto.amount)),
      service: dto.service,
      numberMasked: maskNumber(dto.number),
      keyId,
      recipientCiphertext: ciphertext,
      numberFingerprint: this.cipher.fingerprint(dto.number),
      contentFingerprint: this.cipher.fingerprint(content),
    };
    const inserted = await this.intake.insert(row, options.actor, manager);
    const payout = inserted ?? (await this.existing(dto.order_id, content, manager));
    annotate({
      'alikassa.payout.id': payout.id,
      'alikassa.account': payout.account,
      'alikassa.service': payout.service,
      'alikassa.outcome': inserted ? 'created' : 'repeated',
    });
    return { payout, created: inserted !== null };
  }

  /** The payout that has the order_id, if it is the same. @throws OrderConflictError */
  private async existing(orderId: string, content: string, manager: EntityManager): Promise<Payout> {
    const payout = await this.store.findSealed(orderId, manager);
    if (!payout) throw new PayoutNotFoundError(`Payout of order ${orderId} vanished while it was created; repeat.`);
    if (!this.cipher.fingerprint(content, payout.keyId).equals(payout.contentFingerprint)) {
      throw new OrderConflictError(
        `order_id "${orderId}" belongs to payout ${payout.id} with other content; use a new order_id for a new payout.`,
      );
    }
    return withoutSecrets(payout);
  }

  /**
   * Written through another DataSource, a payout could lie in a database where nobody looks for it.
   * @throws InvalidInputError
   */
  private managerOf({ manager }: CreateOptions): EntityManager {
    // TypeORM 0.3 has no `dataSource`.
    if (manager && (manager.dataSource ?? manager.connection) !== this.dataSource) {
      throw new InvalidInputError([
        `manager belongs to another DataSource than the payouts of the instance "${this.options.instance}"; begin the transaction on theirs`,
      ]);
    }
    return manager ?? this.dataSource.manager;
  }

  /** @throws PayoutNotFoundError */
  async find(id: string): Promise<Payout> {
    if (!UUID.test(id)) throw new PayoutNotFoundError('There is no such payout: the id is not a uuid.');
    return mapped(this.store.read(id).then(({ payout }) => payout));
  }

  /**
   * Newest first, in pages.
   * @throws InvalidInputError
   */
  async list(filter: ListPayoutsDto = {}): Promise<PayoutPage> {
    return this.page(validated(ListPayoutsDto, filter));
  }

  /**
   * The payouts to a recipient's full number, newest first, in pages: found by its fingerprint under every key of the
   * ring, since the number itself is stored nowhere in the clear.
   * @throws InvalidInputError
   */
  async search(filter: SearchPayoutsDto): Promise<PayoutPage> {
    const { number, ...listed } = validated(SearchPayoutsDto, filter);
    const numberFingerprint = In(this.cipher.keyIds.map((id) => this.cipher.fingerprint(number, id)));
    return this.page(listed, { numberFingerprint });
  }

  /** A payout's history, oldest first. @throws PayoutNotFoundError */
  async events(id: string): Promise<PayoutEvent[]> {
    await this.find(id);
    const asked = { where: { payoutId: id }, order: { id: 'ASC' } } as const;
    return mapped(onConnection(this.dataSource, (_, runner) => runner.manager.find(PayoutEvent, asked)));
  }

  /**
   * Asks the provider for the status now and settles what it says. A final payout is asked about too: what contradicts
   * it raises `attention`.
   * @throws PayoutNotFoundError, StateConflictError (never sent yet), ProviderUnavailableError
   */
  async refresh(id: string, caller: Caller = {}): Promise<Payout> {
    const payout = await this.find(id);
    // An attempt that is proven unsent may be asked about too: the answer can only confirm it.
    if (payout.attempt === 0) {
      throw new StateConflictError(`Payout ${id} is ${payout.status} and was never sent: the provider cannot know it.`);
    }
    const outcome = await this.client.payoutStatus(
      payout.account,
      payout.providerId ? { id: payout.providerId } : { order_id: payout.orderId },
    );
    const settled = await this.store.settle(id, { type: 'check', outcome, ...caller });
    if (outcome.kind !== 'ok' && outcome.kind !== 'not_found') throw noAnswer('the status', outcome);
    return settled.payout;
  }

  /**
   * Takes back a payout that was never sent.
   * @throws PayoutNotFoundError, StateConflictError
   */
  async withdraw(id: string, caller: Caller = {}): Promise<Payout> {
    await this.find(id);
    return (await this.store.settle(id, { type: 'withdrawal', ...caller })).payout;
  }

  /**
   * A person's decision on a payout that the machine holds: `paid` and `fail` end it, `resubmit` sends the same body
   * again under the same order_id. Audited in the events.
   * @throws InvalidInputError, PayoutNotFoundError, StateConflictError
   */
  async resolve(id: string, decision: ResolvePayoutDto, caller: Caller = {}): Promise<Payout> {
    const { outcome, reason } = validated(ResolvePayoutDto, decision);
    await this.find(id);
    return (await this.store.settle(id, { type: 'person', outcome, reason, ...caller })).payout;
  }

  /**
   * The account's balance at the provider; decimal strings.
   * @throws InvalidInputError (unknown account), ProviderUnavailableError
   */
  async balance(account?: string): Promise<BalanceAnswer> {
    return valueOf('the balance', await this.client.balance(accountOf(account, this.options.accounts).uuid));
  }

  /**
   * What the account may do at the provider.
   * @throws InvalidInputError (unknown account), ProviderUnavailableError
   */
  async accountInfo(account?: string): Promise<AccountInfoAnswer> {
    return valueOf('the account', await this.client.accountInfo(accountOf(account, this.options.accounts).uuid));
  }

  /**
   * Waits until the provider's first answer has moved the payout on, or the time is over.
   * @param ms at most this long.
   */
  async waitForAnswer(id: string, ms: number): Promise<Payout> {
    const deadline = performance.now() + ms;
    for (let pause = 10; ; pause = Math.min(pause * 1.5, 250)) {
      const payout = await this.find(id);
      const isUnanswered = payout.status === 'queued' || payout.status === 'sending';
      if (!isUnanswered || performance.now() + pause > deadline) return payout;
      await sleep(pause);
    }
  }

  /** One page; a filter that is null is none. */
  private async page(
    { order_id, status, limit, cursor }: ListPayoutsDto,
    where: FindOptionsWhere<Payout> = {},
  ): Promise<PayoutPage> {
    const size = limit ?? PAGE;
    const query = this.dataSource
      .createQueryBuilder(Payout, 'payout')
      .where({ ...where, instance: this.options.instance })
      .orderBy('payout.seq', 'DESC')
      .limit(size + 1);
    if (order_id != null) query.andWhere('payout.orderId = :order_id', { order_id });
    if (status != null) query.andWhere('payout.status = :status', { status });
    if (cursor != null) query.andWhere('payout.seq < :seq', { seq: decodeCursor(cursor) });
    const rows = await mapped(onConnection(this.dataSource, (_, runner) => query.setQueryRunner(runner).getMany()));
    const data = rows.slice(0, size);
    const last = data.at(-1);
    return { data, nextCursor: rows.length > size && last ? encodeCursor(last.seq) : null };
  }
}

function withoutSecrets(payout: Payout): Payout {
  const { keyId: _, recipientCiphertext: __, numberFingerprint: ___, contentFingerprint: ____, ...shown } = payout;
  return Object.assign(new Payout(), shown);
}

function valueOf<T>(what: string, outcome: ProviderOutcome<T>): T {
  if (outcome.kind === 'ok') return outcome.value;
  throw noAnswer(what, outcome);
}

function noAnswer(what: string, outcome: ProviderOutcome<unknown>): ProviderUnavailableError {
  const hint =
    outcome.kind === 'unauthorized' ? 'check the account, the payout key and the digest' : 'ask again in a while';
  return new ProviderUnavailableError(`The provider did not tell ${what} (${outcome.reason}); ${hint}.`);
}
