import { Injectable, type OnModuleInit } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import { UnencodableError } from '../alikassa.errors.js';
import { instruments, secondsSince } from '../instrumentation/instruments.js';
import { annotate, traced } from '../instrumentation/spans.js';
import { phpJsonEncode } from './php-json.js';
import {
  classifyAnswer,
  classifyStatusAnswer,
  createAnswerReader,
  readAccountInfoAnswer,
  readBalanceAnswer,
  readStatusAnswer,
  type AnswerVerdict,
  type HttpAnswer,
} from './provider.answer.js';
import type {
  AccountInfoAnswer,
  BalanceAnswer,
  CreatePayoutAnswer,
  CreatePayoutRequest,
  PayoutStatusAnswer,
  ProviderOutcome,
} from './provider.types.js';
import type { SignatureProvider } from './signature.provider.js';
import { checkProcess } from './process.check.js';
import { post } from './provider.http.js';
import { Transport, type TransportOptions } from './transport.js';

export interface ClientOptions extends TransportOptions {
  baseUrl: string;
  /** Milliseconds for one call, connecting and the whole answer included; a submission's counts from its first byte. */
  timeoutMs: number;
}

/** A request that is ready to go out: these very bytes were signed. */
export interface SignedRequest {
  account: string;
  path: string;
  body: Buffer;
  sign: string;
}

const NO_PARAMETERS = '[]';
/** How a request is sent. */
export interface Sending {
  /** An open connection; by default one is opened. */
  transport?: Transport;
  /** Asked at the moment of the first byte: whether it must not leave any more. */
  isLate?: () => boolean;
}

/** A connection that takes longer is given up: a job must not be taken for a dead worker's meanwhile. */
const MAX_CONNECTING_MS = 10_000;

/** The only HTTP to the provider. What the network or the provider does is an outcome, never an exception. */
@Injectable()
export class AliKassaClient implements OnModuleInit {
  constructor(
    private readonly signature: SignatureProvider,
    private readonly options: ClientOptions,
  ) {}

  /** @throws ConfigurationError where the process does not leave requests the connection that they are given. */
  async onModuleInit(): Promise<void> {
    await checkProcess();
  }

  /**
   * `POST /v1/payout`. Sends once; calling it again sends again.
   * @param account uuid of the paying account.
   * @throws UnencodableError before anything is sent.
   */
  async createPayout(account: string, request: CreatePayoutRequest): Promise<ProviderOutcome<CreatePayoutAnswer>> {
    return this.submitPayout(await this.signPayout(account, phpJsonEncode(request)), request.order_id);
  }

  /** Signs a create request without sending it. @param body the encoded request. */
  async signPayout(account: string, body: string): Promise<SignedRequest> {
    return this.signed(account, '/v1/payout', body);
  }

  /**
   * Opens the connection that one request is sent over, to the end of the handshake; whoever asks closes it.
   * @returns it, with `failure` where it could not be opened.
   */
  async connect(): Promise<Transport> {
    const { baseUrl, timeoutMs } = this.options;
    const transport = new Transport(baseUrl, this.options);
    const startedAt = performance.now();
    const limit = AbortSignal.timeout(Math.min(timeoutMs, MAX_CONNECTING_MS));
    try {
      await transport.open(limit);
    } catch (error) {
      transport.close();
      const reason = limit.aborted ? 'deadline' : codeOf(error);
      const durationMs = performance.now() - startedAt;
      transport.failure = { kind: 'never_sent', reason, phase: transport.phase, durationMs };
    }
    return transport;
  }

  /**
   * Sends a signed create request.
   * @param orderId what an echoed order_id is compared with.
   */
  async submitPayout(
    request: SignedRequest,
    orderId: string,
    sending: Sending = {},
  ): Promise<ProviderOutcome<CreatePayoutAnswer>> {
    return this.send(request, (answer) => classifyAnswer(answer, createAnswerReader(orderId)), sending);
  }

  /**
   * `POST /v1/payout/status`, by the merchant's order_id or the provider's id.
   * @throws UnencodableError before anything is sent, for an id that is not a decimal integer.
   */
  async payoutStatus(
    account: string,
    key: { order_id: string } | { id: string },
  ): Promise<ProviderOutcome<PayoutStatusAnswer>> {
    const body = phpJsonEncode('id' in key ? { id: integerOf(key.id) } : { order_id: key.order_id });
    const request = await this.signed(account, '/v1/payout/status', body);
    return this.send(request, (answer) => classifyStatusAnswer(answer, readStatusAnswer));
  }

  /** `POST /v1/account/balance`. */
  async balance(account: string): Promise<ProviderOutcome<BalanceAnswer>> {
    const request = await this.signed(account, '/v1/account/balance', NO_PARAMETERS);
    return this.send(request, (answer) => classifyAnswer(answer, readBalanceAnswer));
  }

  /** `POST /v1/account/info`. */
  async accountInfo(account: string): Promise<ProviderOutcome<AccountInfoAnswer>> {
    const request = await this.signed(account, '/v1/account/info', NO_PARAMETERS);
    return this.send(request, (answer) => classifyAnswer(answer, readAccountInfoAnswer));
  }

  private async signed(account: string, path: string, text: string): Promise<SignedRequest> {
    const body = Buffer.from(text);
    const startedAt = performance.now();
    const sign = await this.signature.sign(body);
    instruments().signature.record(secondsSince(startedAt), { 'alikassa.signature.operation': 'sign' });
    return { account, path, body, sign };
  }

  private async send<T>(
    request: SignedRequest,
    classify: (answer: HttpAnswer) => AnswerVerdict<T>,
    { transport: given, isLate }: Sending = {},
  ): Promise<ProviderOutcome<T>> {
    const attributes = {
      'http.request.method': 'POST',
      'server.address': new URL(this.options.baseUrl).hostname,
      'url.path': request.path,
      'alikassa.account': request.account,
    };
    return traced(`POST ${request.path}`, { kind: SpanKind.CLIENT, attributes }, async () => {
      const startedAt = performance.now();
      const transport = given ?? (await this.connect());
      const outcome = transport.failure ?? (await this.exchange(request, classify, transport, startedAt, isLate));
      annotate({
        'alikassa.outcome': outcome.kind,
        'alikassa.reason': outcome.reason,
        'http.response.status_code': outcome.httpStatus,
      });
      return outcome;
    });
  }

  private async exchange<T>(
    { account, path, body, sign }: SignedRequest,
    classify: (answer: HttpAnswer) => AnswerVerdict<T>,
    transport: Transport,
    startedAt: number,
    isLate: () => boolean = () => false,
  ): Promise<ProviderOutcome<T>> {
    const { baseUrl, timeoutMs } = this.options;
    const leftMs = Math.ceil(timeoutMs - (performance.now() - startedAt));
    const deadline = AbortSignal.timeout(Math.max(1, leftMs));
    const trace = () => ({ phase: transport.phase, durationMs: performance.now() - startedAt });
    try {
      const { status, headers, data } = await post({
        url: baseUrl + path,
        headers: {
          'Content-Type': 'application/json',
          Account: account,
          Sign: sign,
          'User-Agent': 'AliKassa2.0 API',
          // axios would ask for gzip by itself, and for JSON before all else, which PHP's curl does not.
          'Accept-Encoding': 'identity',
          Accept: '*/*',
        },
        data: body,
        ...transport.give(isLate),
        // axios' `timeout` alone is idle time; the signal bounds the whole call.
        signal: deadline,
      });
      // An answer that did not come over our connection is nobody's.
      if (!transport.hasWritten) return { kind: 'unclear', reason: 'foreign_answer', ...trace() };
      return { ...classify({ httpStatus: status, headers, body: Buffer.from(data) }), httpStatus: status, ...trace() };
    } catch (error) {
      // Closed before it is judged: what is called never sent must not leave a moment later.
      transport.close();
      // The error holds the body and the signature: only its code leaves this method.
      const reason = transport.refusal ?? (deadline.aborted ? 'deadline' : codeOf(error));
      return { kind: transport.isProvenUnsent ? 'never_sent' : 'unclear', reason, ...trace() };
    } finally {
      transport.close();
    }
  }
}

function integerOf(id: string): bigint {
  if (!/^[0-9]{1,19}$/.test(id))
    throw new UnencodableError("$.id: the provider's ids are integers; give decimal digits.");
  return BigInt(id);
}

function codeOf(error: unknown): string {
  // By shape: an error of another realm, or of a second copy of a library, is no instance of our classes.
  const { cause, code } = Object(error) as { cause?: { code?: unknown } | null; code?: unknown };
  for (const found of [cause?.code, code]) {
    if (typeof found === 'string' && /^[A-Z][A-Z0-9_]{1,59}$/.test(found)) return found;
  }
  return 'network_error';
}
