import { createPublicKey } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { PayoutScript } from './payout.script.js';
import { json, reply, sendFaulty, type Answer } from './simulator.answer.js';
import { SimulatorConnections } from './simulator.connections.js';
import { fromCents, SimulatorLedger, type SimulatedAccount, type SimulatedPayout } from './simulator.ledger.js';
import { SimulatorNotifier, type NotificationParameters } from './simulator.notifier.js';
import { checkRequest, createErrors, type FieldErrors, type RequestCheck } from './simulator.requests.js';
import { rulesByAmount, type SimulatedFate, type SimulatorRules } from './simulator.rules.js';
import { SimulatorScript, type RequestFault, type ScriptedFault, type SimulatedEndpoint } from './simulator.script.js';

/** How the simulator is set up. */
export interface SimulatorOptions {
  /** PEM: verifies the merchant's requests. */
  payoutPublicKey: string;
  /** PEM: signs notifications. */
  notificationPrivateKey: string;
  accounts: readonly SimulatedAccount[];
  /** Of request signatures; default sha1. */
  digest?: 'sha1' | 'sha256';
  host?: string;
  port?: number;
  /** Until an accepted payout becomes final; default 50. */
  settleAfterMs?: number;
  /** Before every answer; default 0. */
  latencyMs?: number;
  rules?: SimulatorRules;
  /**
   * The first payout's id; default 100001524. Give a later one at each start where the database outlives the simulator: an
   * id that is given twice is a conflict.
   */
  firstId?: number;
  /** Where notifications of payouts go that name no URL; asked for each, where it is not known from the start. */
  notificationUrl?: string | (() => string | undefined);
  notificationRetries?: number;
  notificationRetryMs?: number;
  /** Serves https with this certificate. */
  tls?: { key: string; cert: string };
}

/** One request as the simulator saw it; the recipient is not kept. */
export interface SeenRequest {
  endpoint: SimulatedEndpoint;
  orderId?: string;
  /** 0 where no answer was given. */
  httpStatus: number;
}

const ENDPOINTS: Readonly<Record<string, SimulatedEndpoint>> = {
  '/v1/payout': 'payout',
  '/v1/payout/status': 'status',
  '/v1/account/balance': 'balance',
  '/v1/account/info': 'info',
};

/** AliKassa's payout API as a real HTTP server on this machine, for tests and the sandbox: the provider has none. */
export class AliKassaSimulator {
  /** Every request, in the order of arrival. */
  readonly requests: SeenRequest[] = [];
  /** Requests whose signature was not valid. */
  signatureFailures = 0;
  private readonly ledger: SimulatorLedger;
  private readonly notifier: SimulatorNotifier;
  private readonly scripted = new SimulatorScript();
  /** Of payouts that the status call does not find at first. */
  private readonly visibleFrom = new Map<string, number>();
  private readonly stopping = new AbortController();
  private readonly check: RequestCheck;
  private readonly rules: SimulatorRules;
  private connections?: SimulatorConnections;

  constructor(private readonly options: SimulatorOptions) {
    // Each open payout waits for the end: more than ten are no leak, of which Node would warn.
    setMaxListeners(0, this.stopping.signal);
    this.ledger = new SimulatorLedger(options.accounts, options.firstId);
    this.rules = options.rules ?? rulesByAmount;
    this.notifier = new SimulatorNotifier(
      options.notificationPrivateKey,
      options.notificationRetries ?? 3,
      options.notificationRetryMs ?? 200,
      this.stopping.signal,
    );
    this.check = {
      publicKey: createPublicKey(options.payoutPublicKey),
      digest: options.digest ?? 'sha1',
      accounts: options.accounts,
    };
  }

  async start(): Promise<this> {
    const { tls, port = 0, host = '127.0.0.1' } = this.options;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.serve(request, response).catch(() => response.destroy());
    };
    const connections = new SimulatorConnections(listener, tls, () => this.scripted.takeConnection());
    await connections.listen(port, host);
    this.connections = connections;
    return this;
  }

  /** Ends every connection and every timer. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.connections?.close();
  }

  get url(): string {
    if (!this.connections) throw new TypeError('The simulator has no address before start().');
    const { tls, host = '127.0.0.1' } = this.options;
    return `${tls ? 'https' : 'http'}://${host}:${this.connections.port}`;
  }

  /** Payouts on the provider's books, by order_id. */
  get payouts(): ReadonlyMap<string, Readonly<SimulatedPayout>> {
    return this.ledger.payouts;
  }

  /** Notifications that went out, repeats included. */
  get notificationsSent(): number {
    return this.notifier.sent;
  }

  /** How often a submission of this order was accepted: more than once is a payout paid twice. */
  accepted(orderId: string): number {
    return this.ledger.accepted(orderId);
  }

  /** Lets the next matching requests, or the next connections, go wrong. */
  script(fault: ScriptedFault): this {
    this.scripted.add(fault);
    return this;
  }

  /**
   * Says what happens to the next payout that has no script yet, in words: `nextPayout().isDropped()`.
   * @param which of this order alone; the next so many.
   */
  nextPayout(which: Pick<RequestFault, 'orderId' | 'times'> = {}): PayoutScript {
    return new PayoutScript(this.scripted.add<RequestFault>({ ...which, on: 'payout' }));
  }

  /** Ends a payout now, and notifies of it. */
  async settle(orderId: string, status: 'paid' | 'cancel' | 'fail'): Promise<void> {
    const payout = this.known(orderId);
    this.ledger.settle(payout, status);
    await this.notifyOf(payout);
  }

  /** Sends one signed notification of a payout, once. @returns the HTTP status it was answered with. */
  async notify(orderId: string, overrides: NotificationParameters = {}): Promise<number> {
    const payout = this.known(orderId);
    const url = this.urlOf(payout);
    if (!url) throw new RangeError('The payout names no notification URL.');
    return this.notifier.sendOnce(
      url,
      this.signedNotificationQuery({ ...this.notifier.parametersOf(payout), ...overrides }),
    );
  }

  /** The raw query of a signed notification, for a test that sends it itself. */
  signedNotificationQuery(parameters: NotificationParameters, digest?: 'sha1' | 'sha256'): string {
    return this.notifier.signedQuery(parameters, digest);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const endpoint = ENDPOINTS[request.url ?? ''];
    const body = Buffer.concat((await request.toArray()) as Buffer[]);
    if (!endpoint || request.method !== 'POST') return reply(response, { status: 404, body: '' });
    const checked = checkRequest(request.headers, body, this.check);
    if ('httpStatus' in checked) {
      if (checked.isForged) this.signatureFailures += 1;
      this.requests.push({ endpoint, httpStatus: checked.httpStatus });
      return reply(response, json(checked.httpStatus, { message: checked.message }));
    }
    const { account, fields } = checked;
    const orderId = this.orderOf(fields);
    const seen: SeenRequest = { endpoint, orderId, httpStatus: 0 };
    this.requests.push(seen);
    const fault = this.scripted.take(endpoint, orderId);
    const delayMs = (this.options.latencyMs ?? 0) + (fault?.delayMs ?? 0);
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: this.stopping.signal });
    if (fault?.drop === 'before') return void request.socket.resetAndDestroy();
    const regular = await this.answerTo(endpoint, fields, account, fault);
    await fault?.hold;
    if (fault?.stall) return;
    if (fault?.drop === 'after') return void request.socket.resetAndDestroy();
    if (fault?.raw !== undefined) {
      return sendFaulty(response, Buffer.from(fault.raw), fault.send ?? {}, this.stopping.signal);
    }
    const answer = fault?.answer ? { body: '', ...fault.answer } : regular;
    if (fault?.send) return sendFaulty(response, answer, fault.send, this.stopping.signal);
    seen.httpStatus = answer.status;
    reply(response, answer);
  }

  private async answerTo(
    endpoint: SimulatedEndpoint,
    fields: Record<string, unknown>,
    account: SimulatedAccount,
    fault: RequestFault | undefined,
  ): Promise<Answer> {
    switch (endpoint) {
      case 'payout':
        return this.create(fields, account, fault);
      case 'status':
        return this.statusOf(fields, account);
      case 'balance': {
        const balance = this.ledger.balanceOf(account.uuid);
        const decimals = (cents: bigint | undefined): string => `${fromCents(cents ?? 0n)}000000`;
        const held = decimals(balance?.heldCents);
        const sums = {
          balance: decimals(balance?.cents),
          hold: held,
          rolling_reserve: decimals(0n),
          pending_payouts: held,
        };
        return json(200, { currency: account.currency, ...sums });
      }
      case 'info': {
        const method = { method: 'payment_card', currency: account.currency, status: 'active' };
        const payouts = [{ ...method, service_code: `payment_card_${account.currency.toLowerCase()}` }];
        return json(200, { is_allowed_payment: true, is_allowed_payout: true, payments: [], payouts });
      }
    }
  }

  private async create(
    fields: Record<string, unknown>,
    account: SimulatedAccount,
    fault: RequestFault | undefined,
  ): Promise<Answer> {
    const errors = createErrors(fields, account.currency);
    if (Object.keys(errors).length > 0) return invalid(errors);
    const { order_id, amount, service, number } = fields as Record<
      'order_id' | 'amount' | 'service' | 'number',
      string
    >;
    if (this.ledger.payouts.has(order_id)) return invalid({ order_id: ['The order id has already been taken.'] });
    const fate = fault?.fate ?? this.rules({ order_id, amount: String(amount), service });
    if (fate === 'refuse') return invalid({ number: ['The number is not accepted by the service.'] });
    if (fault?.accept === false) return json(500, { message: 'Server Error' });
    const url = fields['notification_endpoint_url'];
    const payout = this.ledger.accept({
      order_id,
      account: account.uuid.toLowerCase(),
      amount: String(amount),
      service,
      card_mask: `${'*'.repeat(12)}${number.slice(-4)}`,
      notificationUrl: typeof url === 'string' ? url : null,
    });
    if (fault?.invisibleForMs) this.visibleFrom.set(order_id, performance.now() + fault.invisibleForMs);
    if (fault?.notification === 'early') await this.finish(payout, fate, fault);
    else
      void sleep(this.options.settleAfterMs ?? 50, undefined, { signal: this.stopping.signal })
        .then(() => this.finish(payout, fate, fault))
        // Stopped meanwhile: then nobody waits for the end of this payout.
        .catch(() => undefined);
    if (fate === 'accept_then_500') return json(500, { message: 'Server Error' });
    return json(200, { payment_status: 'wait', id: payout.id });
  }

  private async finish(payout: SimulatedPayout, fate: SimulatedFate, fault: RequestFault | undefined): Promise<void> {
    if (fate === 'hold' || payout.payment_status !== 'wait') return;
    const isPaid = fate === 'paid' || fate === 'partial' || fate === 'accept_then_500';
    this.ledger.settle(payout, isPaid ? 'paid' : (fate as 'cancel' | 'fail'), fate === 'partial');
    if (fault?.notification === 'lost') return;
    if (fault?.notificationDelayMs) await sleep(fault.notificationDelayMs, undefined, { signal: this.stopping.signal });
    await this.notifyOf(payout, fault?.notification);
  }

  private async notifyOf(payout: SimulatedPayout, how?: RequestFault['notification']): Promise<void> {
    const url = this.urlOf(payout);
    if (!url) return;
    const parameters = this.notifier.parametersOf(payout);
    const query = this.notifier.signedQuery(parameters);
    if (how === 'forged') {
      await this.notifier.sendOnce(url, query.replace('payment_status=paid', 'payment_status=fail'));
      return;
    }
    await this.notifier.deliver(url, query);
    if (how === 'reordered') {
      const older = { ...parameters, payment_status: 'wait', payment_amount: '0.00' };
      await this.notifier.deliver(url, this.notifier.signedQuery(older));
    }
    if (how === 'duplicate') await this.notifier.deliver(url, query);
  }

  private statusOf(fields: Record<string, unknown>, account: SimulatedAccount): Answer {
    const key = 'id' in fields ? 'id' : 'order_id';
    const payout =
      key === 'id' ? this.ledger.byId(Number(fields['id'])) : this.ledger.payouts.get(String(fields['order_id']));
    if (!payout || payout.account !== account.uuid.toLowerCase() || this.isInvisible(payout)) {
      return invalid({ [key]: [`The selected ${key} is invalid.`] });
    }
    const { notificationUrl: _, account: __, service, ...shown } = payout;
    return json(200, { ...shown, service_code: service, RRN: null });
  }

  /** The order that a request speaks of, by its own id or by the provider's. */
  private orderOf({ order_id, id }: Record<string, unknown>): string | undefined {
    return typeof order_id === 'string' ? order_id : this.ledger.byId(Number(id))?.order_id;
  }

  private isInvisible({ order_id }: SimulatedPayout): boolean {
    return performance.now() < (this.visibleFrom.get(order_id) ?? 0);
  }

  private urlOf(payout: SimulatedPayout): string | undefined {
    const { notificationUrl: usual } = this.options;
    return payout.notificationUrl ?? (typeof usual === 'function' ? usual() : usual);
  }

  private known(orderId: string): SimulatedPayout {
    const payout = this.ledger.payouts.get(orderId);
    if (!payout) throw new RangeError('The simulator has no payout of this order.');
    return payout;
  }
}

/** The documented 400 (PROVIDER.md, "Create a payout"). */
function invalid(errors: FieldErrors): Answer {
  return json(400, { message: 'The given data was invalid.', errors });
}
