import {
  ApiBody,
  ApiConsumes,
  ApiExcludeEndpoint,
  ApiOperation,
  ApiQuery,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import { NotificationController } from '../notifications/notification.controller.js';
import { NotificationAckDto } from './answer.schemas.js';
import { describeEndpoints, undescribed, type Described } from './describe.js';
import { errorResponses } from './error.responses.js';

const DECIMAL = { type: 'string', example: '500.00' };
/** In the order in which they are signed (PROVIDER.md, "Notifications"). */
const PARAMETERS = {
  type: { type: 'string', example: 'payout' },
  id: { type: 'string', pattern: '^(?:0|[1-9][0-9]{0,18})$', example: '100001524' },
  order_id: { type: 'string', example: 'A-1' },
  payment_status: { type: 'string', example: 'paid' },
  amount: DECIMAL,
  payment_amount: DECIMAL,
  commission_amount: DECIMAL,
  is_partial_payment: { type: 'string', example: '0' },
  account: { type: 'string', format: 'uuid' },
  service: { type: 'string', example: 'qiwi_rub' },
  desc: { type: 'string' },
  sign: { type: 'string', description: 'RSA signature of the others, base64.' },
};
const REQUIRED = ['type', 'id', 'order_id', 'payment_status', 'account', 'sign'];
const QUERY = Object.entries(PARAMETERS).map(([name, schema]) =>
  ApiQuery({ name, required: REQUIRED.includes(name), schema }),
);
const COMMON = [
  ApiResponse({ status: 200, description: 'It was taken; repeating it changes nothing.', type: NotificationAckDto }),
  ...errorResponses(
    'notification_malformed',
    'signature_invalid',
    'internal_error',
    'database_refused',
    'database_unavailable',
    'overloaded',
  ),
];

export function describeNotificationEndpoints(): void {
  for (const controller of undescribed(NotificationController)) {
    ApiTags(controller.named('notifications'))(controller.type);
    describeController(controller);
  }
}

function describeController({ type, named }: Described<NotificationController>): void {
  const operation = (name: string, summary: string) =>
    ApiOperation({
      operationId: named(name),
      summary,
      description: 'For the provider. A notification carries its own signature, so no token is needed.',
      security: [],
    });
  describeEndpoints(type, {
    head: [ApiExcludeEndpoint()],
    get: [operation('receiveNotification', 'Receive a notification'), ...QUERY, ...COMMON],
    post: [
      operation('receiveNotificationForm', 'Receive a notification as a form'),
      ApiConsumes('application/x-www-form-urlencoded'),
      ApiBody({ schema: { type: 'object', properties: PARAMETERS, required: REQUIRED } }),
      ...COMMON,
      ...errorResponses('body_too_large'),
    ],
  });
}
