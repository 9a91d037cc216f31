import { Injectable, Logger } from '@nestjs/common';
import type { ResolvedOptions } from '../alikassa.options.js';
import type { ProviderFacts } from '../payouts/payout.evidence.js';
import type { PayoutStore } from '../payouts/payout.store.js';
import { PROVIDER_STATUSES, type NotificationFields, type ProviderStatus } from '../provider/provider.types.js';
import type { SignatureProvider } from '../provider/signature.provider.js';
import type { NotificationInbox, NotificationResult } from './notification.inbox.js';

const AMOUNT = /^[0-9]{1,20}(?:\.[0-9]{1,10})?$/;

/** Verifies a notification, settles the payout it speaks of, keeps it. */
@Injectable()
export class NotificationService {
  private readonly logger = new Logger('AliKassaNotifications');

  constructor(
    private readonly signature: SignatureProvider,
    private readonly options: ResolvedOptions,
    private readonly store: PayoutStore,
    private readonly inbox: NotificationInbox,
  ) {}

  /**
   * @param rawQuery the query (or form) as it came, undecoded.
   * @throws SignatureInvalidError before anything reaches the database; DatabaseUnavailableError, so that the provider
   * repeats.
   */
  async receive(rawQuery: string): Promise<void> {
    const fields = this.signature.verifyNotification(rawQuery);
    const result = await this.settle(fields);
    // Kept after it was settled: if this write fails, the provider's repeat finds the payout settled and is kept then.
    await this.inbox.record(fields, result);
    this.logger.debug(`Notification of order ${JSON.stringify(fields.order_id)}: ${fields.payment_status}, ${result}`);
  }

  private async settle(fields: NotificationFields): Promise<NotificationResult> {
    const facts = factsOf(fields);
    // The same key signs notifications of payments: those must not touch a payout (PROVIDER.md, "Notifications").
    if (fields.type !== 'payout' || !facts) return 'ignored';
    const payout = await this.store.findByOrder(fields.order_id);
    if (!payout || !this.options.accounts.some(({ uuid }) => uuid === fields.account.toLowerCase())) return 'unmatched';
    const { changed } = await this.store.settle(payout.id, { type: 'notification', facts });
    return changed ? 'settled' : 'unchanged';
  }
}

/** Null where the content, though signed, is not one that we know how to read. */
function factsOf(fields: NotificationFields): ProviderFacts | null {
  const status = PROVIDER_STATUSES.find((one: ProviderStatus) => one === fields.payment_status);
  const amounts = [fields.amount, fields.payment_amount, fields.commission_amount];
  if (!status || amounts.some((amount) => amount !== null && amount !== '' && !AMOUNT.test(amount))) return null;
  return {
    status,
    id: fields.id,
    orderId: fields.order_id,
    account: fields.account,
    amount: fields.amount || undefined,
    paymentAmount: fields.payment_amount || undefined,
    commissionAmount: fields.commission_amount || undefined,
    isPartialPayment: fields.is_partial_payment === null ? undefined : fields.is_partial_payment === '1',
  };
}
