export { AliKassaModule, alikassaEntities } from './alikassa.module.js';
export type { AliKassaModuleExtras } from './alikassa.module-definition.js';
export type {
  AliKassaAccount,
  AliKassaOptions,
  EncryptionKey,
  SignatureDigest,
  WorkerOptions,
} from './alikassa.options.js';
export {
  AliKassaError,
  ConfigurationError,
  DatabaseRefusedError,
  DatabaseUnavailableError,
  InvalidInputError,
  OrderConflictError,
  OverloadedError,
  PayoutNotFoundError,
  ProviderUnavailableError,
  RecipientUnreadableError,
  RevisionRequiredError,
  SignatureInvalidError,
  StaleRevisionError,
  StateConflictError,
  UnencodableError,
} from './alikassa.errors.js';
export { OnPayoutStatus, type PayoutStatusFilter } from './handlers/on.payout.status.js';
export { AliKassaNotification } from './notifications/notification.entity.js';
export { AccountPause, type PauseReason } from './payouts/account.pause.js';
export { ALARMS, type Alarm } from './payouts/attention.js';
export { PayoutDelivery } from './payouts/delivery.entity.js';
export { DatabaseEpoch, type EpochReason } from './payouts/database.epoch.entity.js';
export { EncryptionKeyCheck } from './payouts/encryption.key.js';
export { AliKassaErrorFilter } from './payouts/error.filter.js';
export type { PayoutStatusChange, PayoutStatusHandler } from './payouts/handler.registry.js';
export {
  CreatePayoutDto,
  ListPayoutsDto,
  PayoutDto,
  PayoutEventDto,
  PayoutExtraDto,
  ResolvePayoutDto,
  SearchPayoutsDto,
} from './payouts/payout.dto.js';
export { Payout, PayoutEvent, type EndedBy } from './payouts/payout.entity.js';
export { RequireScope, type PayoutScope } from './payouts/payout.scopes.js';
export { PayoutOverview, type Overview } from './payouts/payout.overview.js';
export type { Caller, DecisionOptions, RefreshOptions } from './payouts/payout.operations.js';
export { PayoutService, type CreateOptions, type PayoutPage } from './payouts/payout.service.js';
export { isFinal, PAYOUT_STATUSES, type PayoutStatus } from './payouts/payout.status.js';
export { getAliKassaToken, getPayoutServiceToken, InjectPayoutService } from './payouts/payout.tokens.js';
export {
  RecipientRotation,
  type KeyUse,
  type RotationOptions,
  type RotationProgress,
  type RotationReport,
} from './payouts/recipient.rotation.js';
export { phpJsonEncode } from './provider/php-json.js';
export { AliKassaClient } from './provider/provider.client.js';
export type {
  AccountInfoAnswer,
  BalanceAnswer,
  CreatePayoutAnswer,
  CreatePayoutRequest,
  NotificationFields,
  PayoutStatusAnswer,
  ProviderExtra,
  ProviderMethod,
  ProviderOutcome,
  ProviderStatus,
} from './provider/provider.types.js';
export { SignatureProvider } from './provider/signature.provider.js';
export { PayoutRecovery, type RecoveryOptions, type RecoveryReport } from './worker/payout.recovery.js';
export { WorkerService } from './worker/worker.service.js';
