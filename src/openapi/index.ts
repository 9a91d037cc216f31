import { describeAnswers } from './answer.schemas.js';
import { describeErrors } from './error.responses.js';
import { describeNotificationEndpoints } from './notification.endpoints.js';
import { describePayoutEndpoints } from './payout.endpoints.js';
import { describeRequests } from './request.schemas.js';

/** What the host tells about its document. */
export interface DescribeOptions {
  /**
   * Name of the security scheme that the host's document gives to whoever may call; `false`: the endpoints name none.
   * Default `bearer`, as `DocumentBuilder.addBearerAuth()` makes it.
   */
  security?: string | false;
}

let isDescribed = false;

/**
 * Describes the module's endpoints and DTOs to `@nestjs/swagger`, which must be installed. Call it once before
 * `SwaggerModule.createDocument()`: the host's document then holds them whole, with fields, limits, examples and errors.
 * The tags and operation ids of a named instance end with `_` and its name. Further calls change nothing.
 */
export function describeAliKassa({ security = 'bearer' }: DescribeOptions = {}): void {
  if (!isDescribed) {
    isDescribed = true;
    describeRequests();
    describeAnswers();
    describeErrors();
  }
  // An instance of the module may have come meanwhile.
  describePayoutEndpoints(security);
  describeNotificationEndpoints();
}
