import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import type { DataSource, EntityManager } from 'typeorm';
import {
  InvalidInputError,
  OrderConflictError,
  PayoutNotFoundError,
  RecipientUnreadableError,
} from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { annotate, traced } from '../instrumentation/spans.js';
import { phpJsonEncode } from '../provider/php-json.js';
import type { AliKassaClient } from '../provider/provider.client.js';
import type { AccountInfoAnswer, BalanceAnswer, ProviderOutcome } from '../provider/provider.types.js';
import { maskNumber } from './card.number.js';
import { mapped } from './database.errors.js';
import { endedTransaction, requireOpen } from './host.transaction.js';
import { CreatePayoutDto, ListPayoutsDto, SearchPayoutsDto, type ResolvePayoutDto } from './payout.dto.js';
import { Payout, type PayoutEvent } from './payout.entity.js';
import type { PayoutIntake } from './payout.intake.js';
import {
  noAnswer,
  type Caller,
  type DecisionOptions,
  type PayoutOperations,
  type RefreshOptions,
} from './payout.operations.js';
import { decodeCursor, encodeCursor } from './payout.page.js';
import { contentOf, providerRequest, twoDecimals } from './payout.request.js';
import type { PayoutStore } from './payout.store.js';
import { accountOf, validated, validatedCreate } from './payout.validation.js';
import type { RecipientCipher } from './recipient.cipher.js';

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
    private readonly operations: PayoutOperations,
  ) {}

  /**
   * Accepts a payout: row, first event and job are written in one statement; a worker then sends it. Idempotent by
   * `order_id`: the same content again returns the existing payout, also where it would not be accepted any more (an expired
   * card, an account that is no longer configured).
   * @throws InvalidInputError, OrderConflictError, RecipientUnreadableError (a repeat, and its key is not in the ring),
   * DatabaseUnavailableError
   */
  async create(dto: CreatePayoutDto, options: CreateOptions = {}): Promise<Payout> {
    return (await this.createOrFind(dto, options)).payout;
  }

  /** `create`, and whether the payout is new. */
  async createOrFind(input: CreatePayoutDto, options: CreateOptions = {}): Promise<CreatedPayout> {
    return traced('alikassa.payout.create', { kind: SpanKind.PRODUCER }, () => this.accept(input, options));
  }

  private async accept(input: CreatePayoutDto, options: CreateOptions): Promise<CreatedPayout> {
    const manager = this.managerOf(options);
    const accepted = await this.acceptable(input, manager);
    if (accepted instanceof Payout) return answered(accepted, false);
    const { dto, account } = accepted;
    const content = contentOf(dto, account.uuid);
    const body = phpJsonEncode(providerRequest(dto, this.options.notificationUrl));
    const id = randomUUID();
    const { keyId, ciphertext } = this.cipher.seal(id, body);
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
    const payout = inserted ?? (await this.existing(dto, manager));
    // Neither new nor there: what ended the transaction past TypeORM has taken the mark of the statement with it.
    if (!payout) throw endedOr(manager, dto);
    return answered(payout, inserted !== null);
  }

  /**
   * The input by the rules of the day and of the configuration. What was accepted before they changed stays accepted: then
   * the payout that exists.
   * @throws InvalidInputError, OrderConflictError
   */
  private async acceptable(
    input: CreatePayoutDto,
    manager: EntityManager,
  ): Promise<ReturnType<typeof validatedCreate> | Payout> {
    try {
      return validatedCreate(input, this.options.accounts);
    } catch (refusal) {
      // What has no readable shape is refused here once more.
      const payout = await this.existing(validated(CreatePayoutDto, input), manager);
      if (payout) return payout;
      throw refusal;
    }
  }

  /** The payout that has the order_id, if it is the same. @throws OrderConflictError, RecipientUnreadableError */
  private async existing(dto: CreatePayoutDto, manager: EntityManager): Promise<Payout | null> {
    const payout = await this.store.findSealed(dto.order_id, manager);
    if (!payout) return null;
    const { id, keyId, contentFingerprint } = payout;
    const taken = `order_id "${dto.order_id}" belongs to payout ${id}`;
    if (!this.cipher.keyIds.includes(keyId)) {
      throw new RecipientUnreadableError(
        `${taken}; whether its content is this cannot be told without the encryption key "${keyId}": put it back into the ring, and look at the payout before you make another.`,
      );
    }
    // Where the request leaves the account out, it was left out when the payout was accepted.
    const content = contentOf(dto, dto.account?.toLowerCase() ?? payout.account);
    if (this.cipher.fingerprint(content, keyId).equals(contentFingerprint)) return withoutSecrets(payout);
    throw new OrderConflictError(`${taken} with other content; use a new order_id for a new payout.`);
  }

  /**
   * Written through another DataSource, a payout could lie in a database where nobody looks for it; after the end of its
   * transaction, in none or in somebody else's.
   * @throws InvalidInputError
   */
  private managerOf({ manager }: CreateOptions): EntityManager {
    // TypeORM 0.3 has no `dataSource`.
    if (manager && (manager.dataSource ?? manager.connection) !== this.dataSource) {
      throw new InvalidInputError([
        `manager belongs to another DataSource than the payouts of the instance "${this.options.instance}"; begin the transaction on theirs`,
      ]);
    }
    if (manager) requireOpen(manager);
    return manager ?? this.dataSource.manager;
  }

  /** @throws PayoutNotFoundError */
  async find(id: string): Promise<Payout> {
    return mapped(this.store.read(checkedId(id)).then(({ payout }) => payout));
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
    const numbers = this.cipher.keyIds.map((id) => this.cipher.fingerprint(number, id));
    return this.page(listed, numbers);
  }

  /** A payout's history, oldest first. @throws PayoutNotFoundError */
  async events(id: string): Promise<PayoutEvent[]> {
    await this.find(id);
    return this.store.events(id);
  }

  /**
   * Asks the provider for the status now and settles what it says. A final payout is asked about too: what contradicts
   * it raises `attention`. So is one that was never sent, since a database that went back does not know what was sent.
   * @throws PayoutNotFoundError, StaleRevisionError (a revision was given and is not the payout's), ProviderUnavailableError
   */
  async refresh(id: string, options: RefreshOptions = {}): Promise<Payout> {
    return this.operations.refresh(checkedId(id), options);
  }

  /**
   * Takes back a payout that was never sent.
   * @param options the revision that was seen, and who decides. The same decision again is found done.
   * @throws PayoutNotFoundError, RevisionRequiredError, StaleRevisionError, StateConflictError
   */
  async withdraw(id: string, options: DecisionOptions): Promise<Payout> {
    return this.operations.withdraw(checkedId(id), options);
  }

  /**
   * A person's decision on a payout that the machine holds: `paid` and `fail` end it, `resubmit` sends the same body
   * again under the same order_id, `acknowledge` closes alarms by name and decides nothing else. Audited in the events.
   * Before `fail` and `resubmit` the provider is asked once more: if it knows the order, its answer settles instead.
   * @param options the revision that was seen, and who decides. The same decision again is found done.
   * @throws InvalidInputError, PayoutNotFoundError, RevisionRequiredError, StaleRevisionError, StateConflictError,
   * ProviderUnavailableError (it could not be asked: `unasked: true` decides all the same)
   */
  async resolve(id: string, decision: ResolvePayoutDto, options: DecisionOptions): Promise<Payout> {
    return this.operations.resolve(checkedId(id), decision, options);
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
  private async page({ limit, cursor, ...filter }: ListPayoutsDto, numbers?: Buffer[]): Promise<PayoutPage> {
    const size = limit ?? PAGE;
    const before = cursor == null ? undefined : decodeCursor(cursor);
    const rows = await this.store.page({ orderId: filter.order_id, status: filter.status, before, numbers }, size + 1);
    const data = rows.slice(0, size);
    const last = data.at(-1);
    return { data, nextCursor: rows.length > size && last ? encodeCursor(last.seq) : null };
  }
}

function answered(payout: Payout, created: boolean): CreatedPayout {
  annotate({
    'alikassa.payout.id': payout.id,
    'alikassa.account': payout.account,
    'alikassa.service': payout.service,
    'alikassa.outcome': created ? 'created' : 'repeated',
  });
  return { payout, created };
}

function endedOr({ queryRunner }: EntityManager, dto: CreatePayoutDto): Error {
  if (queryRunner) return endedTransaction();
  return new PayoutNotFoundError(`Payout of order ${dto.order_id} vanished while it was created; repeat.`);
}

function withoutSecrets(payout: Payout): Payout {
  const { keyId: _, recipientCiphertext: __, numberFingerprint: ___, contentFingerprint: ____, ...shown } = payout;
  return Object.assign(new Payout(), shown);
}

function valueOf<T>(what: string, outcome: ProviderOutcome<T>): T {
  if (outcome.kind === 'ok') return outcome.value;
  throw noAnswer(what, outcome);
}

/** @throws PayoutNotFoundError */
function checkedId(id: string): string {
  if (!UUID.test(id)) throw new PayoutNotFoundError('There is no such payout: the id is not a uuid.');
  return id;
}
