import { SpanKind } from '@opentelemetry/api';
import { Injectable, Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import { instruments } from '../instrumentation/instruments.js';
import { annotate, traced } from '../instrumentation/spans.js';
import type { ProviderFacts } from '../payouts/payout.evidence.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import { flagOf } from '../provider/provider.answer.js';
import { PROVIDER_STATUSES, type NotificationFields, type ProviderStatus } from '../provider/provider.types.js';
import type { NotificationInbox, NotificationResult } from './notification.inbox.js';
import type { NotificationVerifier } from './notification.verifier.js';
import { ParallelLimit } from './parallel.limit.js';

/** What the framework takes for one request, roughly: a refusal that gets this far has cost as much. */
const FRAMEWORK_MS = 0.3;
/** Genuine ones at once, whoever replays them; what they read and change is put together. More wait. */
const AT_ONCE = 32;
const MAY_WAIT = 256;
const AMOUNT = /^[0-9]{1,20}(?:\.[0-9]{1,10})?$/;

/** Verifies a notification, settles the payout it speaks of, keeps it. */
@Injectable()
export class NotificationService {
  private readonly logger = new Logger('AliKassaNotifications');
  private readonly limit = new ParallelLimit(AT_ONCE, MAY_WAIT);

  constructor(
    private readonly verifier: NotificationVerifier,
    private readonly options: ResolvedOptions,
    private readonly store: PayoutStore,
    private readonly inbox: NotificationInbox,
  ) {}

  /**
   * @param rawQuery the query (or form) as it came, undecoded.
   * @param verified what it says, where that is known already.
   * @throws SignatureInvalidError before anything reaches the database; OverloadedError, DatabaseUnavailableError, so that
   * the provider repeats.
   */
  async receive(rawQuery: string, verified?: NotificationFields): Promise<void> {
    const fields = verified ?? this.verifier.verify(rawQuery, FRAMEWORK_MS);
    if (this.limit.isFull) throw this.verifier.overloaded();
    await traced('alikassa.notification', { kind: SpanKind.CONSUMER }, () => this.limit.run(() => this.take(fields)));
  }

  private async take(fields: NotificationFields): Promise<void> {
    const result = await this.settle(fields);
    annotate({ 'alikassa.notification.result': result });
    // What has changed a payout was kept with the change.
    if (result !== 'settled' && result !== 'hinted') await this.inbox.record(fields, result);
    instruments().notifications.add(1, {
      'alikassa.instance': this.options.instance,
      'alikassa.notification.result': result,
    });
    this.logger.debug(`Notification of order ${JSON.stringify(fields.order_id)}: ${fields.payment_status}, ${result}`);
  }

  private async settle(fields: NotificationFields): Promise<NotificationResult> {
    const facts = factsOf(fields);
    // The same key signs notifications of payments: those must not touch a payout (PROVIDER.md, "Notifications").
    if (fields.type !== 'payout' || !facts) return 'ignored';
    const { known, inboxResult } = await this.store.findForNotification(fields.order_id, this.inbox.digestOf(fields));
    if (!known || !this.options.accounts.some(({ uuid }) => uuid === fields.account.toLowerCase())) return 'unmatched';
    const { payout } = known;
    annotate({
      'alikassa.payout.id': payout.id,
      'alikassa.account': payout.account,
      'alikassa.service': payout.service,
    });
    // It has had its effect: a replay asks the provider nothing more, and opens no alarm that a person has closed.
    if (inboxResult === 'settled' || inboxResult === 'hinted') return 'unchanged';
    const result = this.options.confirmNotifications ? 'hinted' : 'settled';
    const { changed } = await this.store.settle(
      payout.id,
      { type: 'notification', facts },
      { known, alongside: (bind, source) => this.inbox.recordSql(fields, result, bind, source) },
    );
    return changed ? result : 'unchanged';
  }
}

/** Null where the content, though signed, is not one that we know how to read: polling tells then. */
function factsOf(fields: NotificationFields): ProviderFacts | null {
  const status = PROVIDER_STATUSES.find((one: ProviderStatus) => one === fields.payment_status);
  const amounts = [fields.amount, fields.payment_amount, fields.commission_amount];
  const isPartialPayment = flagOf(fields.is_partial_payment);
  // Read as "no", it would turn a part into the whole.
  if (fields.is_partial_payment && isPartialPayment === undefined) return null;
  if (!status || amounts.some((amount) => amount !== null && amount !== '' && !AMOUNT.test(amount))) return null;
  return {
    status,
    id: fields.id,
    orderId: fields.order_id,
    account: fields.account,
    amount: fields.amount || undefined,
    paymentAmount: fields.payment_amount || undefined,
    commissionAmount: fields.commission_amount || undefined,
    isPartialPayment,
    service: fields.service || undefined,
  };
}
