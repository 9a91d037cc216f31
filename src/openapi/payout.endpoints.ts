import {
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  ApiSecurity,
  ApiTags,
  type ApiQueryOptions,
} from '@nestjs/swagger';
import { PayoutController } from '../payouts/payout.controller.js';
import { CreatePayoutDto, PayoutDto, ResolvePayoutDto, SearchPayoutsDto } from '../payouts/payout.dto.js';
import { PayoutAccountDto, PayoutBalanceDto, PayoutEventsDto, PayoutPageDto } from './answer.schemas.js';
import { describeEndpoints, undescribed, type Described } from './describe.js';
import { errorResponses, GUARDED, WITH_BODY } from './error.responses.js';
import { FILTER } from './request.schemas.js';

const ID = ApiParam({ name: 'id', description: 'Id of the payout.', schema: { type: 'string', format: 'uuid' } });
const ACCOUNT = ApiQuery({
  name: 'account',
  required: false,
  description: 'Uuid of the account; may be left out where only one is configured.',
  schema: { type: 'string', format: 'uuid' },
});

const DECISION = ['state_conflict', 'stale_revision', 'revision_required'] as const;

const ifMatch = (required: boolean) =>
  ApiHeader({
    name: 'if-match',
    required,
    description: 'ETag of the payout as it was seen; a decision on another state is refused with what has changed.',
    schema: { type: 'string', example: '"3"' },
  });
const LISTED_BY = Object.entries(FILTER).map(([name, field]) => ApiQuery({ name, ...field } as ApiQueryOptions));

const ok = (description: string, type: new () => object) => ApiResponse({ status: 200, description, type });

/** @param security name of the host's security scheme; false: none is named. */
export function describePayoutEndpoints(security: string | false): void {
  for (const controller of undescribed(PayoutController)) {
    ApiTags(controller.named('payouts'))(controller.type);
    if (security !== false) ApiSecurity(security)(controller.type);
    describeController(controller);
  }
}

function describeController({ type, named }: Described<PayoutController>): void {
  const operation = (name: string, summary: string, scope: string) =>
    ApiOperation({ operationId: named(name), summary, description: `Needs the scope \`${scope}\`.` });
  describeEndpoints(type, {
    create: [
      operation('createPayout', 'Accept a payout; idempotent by its order_id', 'payouts:create'),
      ApiHeader({
        name: 'prefer',
        required: false,
        description: "`wait=10` waits for the provider's first answer, for at most 30 seconds (RFC 7240).",
        schema: { type: 'string', example: 'wait=10' },
      }),
      ApiBody({ type: CreatePayoutDto }),
      ApiResponse({ status: 201, description: 'A new payout.', type: PayoutDto }),
      ok('The payout that an identical call made before.', PayoutDto),
      ...errorResponses(...GUARDED, ...WITH_BODY, 'order_conflict', 'recipient_unreadable'),
    ],
    list: [
      operation('listPayouts', 'List payouts, newest first', 'payouts:read'),
      ...LISTED_BY,
      ok('One page.', PayoutPageDto),
      ...errorResponses(...GUARDED, 'invalid_input'),
    ],
    search: [
      operation('searchPayouts', 'Find the payouts to a full number', 'payouts:read'),
      ApiBody({ type: SearchPayoutsDto }),
      ok('One page.', PayoutPageDto),
      ...errorResponses(...GUARDED, ...WITH_BODY),
    ],
    find: [
      operation('getPayout', 'Show a payout', 'payouts:read'),
      ID,
      ok('The payout.', PayoutDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'payout_not_found'),
    ],
    events: [
      operation('listPayoutEvents', 'Show the history of a payout', 'payouts:read'),
      ID,
      ok('The history, oldest first.', PayoutEventsDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'payout_not_found'),
    ],
    refresh: [
      operation('refreshPayout', 'Ask the provider for the status now', 'payouts:operate'),
      ID,
      ifMatch(false),
      ok('The payout as the provider has settled it.', PayoutDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'payout_not_found', 'stale_revision', 'provider_unavailable'),
    ],
    withdraw: [
      operation('withdrawPayout', 'Take back a payout that was never sent', 'payouts:create'),
      ID,
      ifMatch(true),
      ok('The payout, withdrawn.', PayoutDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'payout_not_found', ...DECISION),
    ],
    resolve: [
      operation('resolvePayout', 'Decide on a payout that is held', 'payouts:operate'),
      ID,
      ifMatch(true),
      ApiBody({ type: ResolvePayoutDto }),
      ok('The payout as it was decided.', PayoutDto),
      ...errorResponses(...GUARDED, ...WITH_BODY, 'payout_not_found', ...DECISION, 'provider_unavailable'),
    ],
    balance: [
      operation('getBalance', 'Show the balance of an account at the provider', 'payouts:read'),
      ACCOUNT,
      ok('The balance.', PayoutBalanceDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'provider_unavailable'),
    ],
    account: [
      operation('getAccount', 'Show what an account may do at the provider', 'payouts:read'),
      ACCOUNT,
      ok('The account.', PayoutAccountDto),
      ...errorResponses(...GUARDED, 'invalid_input', 'provider_unavailable'),
    ],
  });
}
