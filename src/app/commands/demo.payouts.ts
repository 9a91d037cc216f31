import type { CreatePayoutDto } from '../../payouts/payout.dto.js';
import type { PayoutStatus } from '../../payouts/payout.status.js';

/** A payout of the demo, and how it has to end. */
export interface DemoPayout {
  title: string;
  body: CreatePayoutDto;
  ends: PayoutStatus;
}

/** The documented examples (PROVIDER.md, "Create a payout"); the simulator decides by the amount's cents. */
export function demoPayouts(accounts: { RUB: string; EUR: string }, notificationUrl: string): DemoPayout[] {
  const cardExpiry = String((new Date().getUTCFullYear() + 3) % 100).padStart(2, '0');
  return [
    {
      title: 'RUB phone',
      // The five fields of the provider's own example.
      body: {
        account: accounts.RUB,
        order_id: '1700000000',
        amount: 500,
        number: '79005554455',
        notification_endpoint_id: 5,
        service: 'qiwi_rub',
      },
      ends: 'paid',
    },
    {
      title: 'RUB card, all fields',
      body: {
        account: accounts.RUB,
        order_id: 'demo-rub-card',
        amount: '1000.44',
        number: '4111111111111111',
        service: 'payment_card_rub',
        notification_endpoint_id: 7,
        notification_endpoint_url: notificationUrl,
        extra: {
          card_exp_year: cardExpiry,
          card_exp_month: '01',
          card_holder: 'ИВАН ИВАНОВ',
          card_country: 'RU',
          card_recipient_birth_date: '1999-12-15',
        },
        customer_phone: '79001112233',
        customer_email: 'ivan@example.com',
        customer_code: 'sberbank',
        customer_first_name: 'Иван',
        customer_last_name: "О'Нил",
      },
      ends: 'paid',
    },
    {
      title: 'EUR card, extra',
      body: {
        account: accounts.EUR,
        order_id: 'demo-eur-card',
        amount: '75.50',
        number: '5555555555554444',
        service: 'payment_card_eur',
        extra: {
          card_exp_year: cardExpiry,
          card_exp_month: '12',
          card_holder: 'CARDHOLDER NAME',
          card_country: 'UA',
          card_recipient_birth_date: '1999-12-15',
        },
      },
      ends: 'paid',
    },
    {
      title: 'RUB card, refused',
      body: {
        account: accounts.RUB,
        order_id: 'demo-refused',
        amount: '700.01',
        number: '4000000000000002',
        service: 'payment_card_rub',
      },
      ends: 'rejected',
    },
    {
      title: 'RUB card, failing',
      body: {
        account: accounts.RUB,
        order_id: 'demo-fail',
        amount: '800.02',
        number: '4012888888881881',
        service: 'payment_card_rub',
      },
      ends: 'fail',
    },
  ];
}
