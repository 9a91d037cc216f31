import type { CreatePayoutRequest } from '../provider/provider.types.js';
import { phpJsonEncode } from '../provider/php-json.js';
import type { CreatePayoutDto } from './payout.dto.js';

/**
 * What is sent for a DTO, in the order of PROVIDER.md ("Create a payout"), fields that are absent or null left out.
 * The amount goes out as it was given.
 */
export function providerRequest(dto: CreatePayoutDto, notificationUrl: string | undefined): CreatePayoutRequest {
  const namesEndpoint = dto.notification_endpoint_id != null || dto.notification_endpoint_url != null;
  const { extra } = dto;
  return compact({
    amount: String(dto.amount),
    number: dto.number,
    order_id: dto.order_id,
    service: dto.service,
    notification_endpoint_id: dto.notification_endpoint_id,
    notification_endpoint_url: namesEndpoint ? dto.notification_endpoint_url : notificationUrl,
    extra:
      extra &&
      compact({
        card_exp_year: extra.card_exp_year,
        card_exp_month: extra.card_exp_month,
        card_holder: extra.card_holder,
        card_country: extra.card_country,
        card_recipient_birth_date: extra.card_recipient_birth_date,
      }),
    customer_phone: dto.customer_phone,
    customer_email: dto.customer_email,
    customer_code: dto.customer_code,
    customer_first_name: dto.customer_first_name,
    customer_last_name: dto.customer_last_name,
  });
}

/**
 * What a repeated create is compared by: the same content gives the same text, whatever the order of its fields,
 * the spelling of its amount ("500", "500.00") or the module's default notification URL.
 */
export function contentOf(dto: CreatePayoutDto, account: string): string {
  return contentText(providerRequest(dto, undefined), account);
}

/**
 * The contents that a stored body may have: it does not say whether its notification URL was the payout's own or the
 * default of that time, so there is one with it and one without.
 */
export function contentsOfBody(body: string, account: string): [string, string] {
  const request = JSON.parse(body) as CreatePayoutRequest;
  const { notification_endpoint_url: _, ...withoutUrl } = request;
  return [contentText(request, account), contentText(withoutUrl, account)];
}

/** "500" -> "500.00"; decimal strings only, so no float is involved. */
export function twoDecimals(amount: string): string {
  const [whole = '0', fraction = ''] = amount.split('.');
  return `${whole}.${fraction.padEnd(2, '0')}`;
}

function contentText(request: CreatePayoutRequest, account: string): string {
  return phpJsonEncode({ account, ...request, amount: twoDecimals(request.amount) });
}

function compact<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null)) as T;
}
