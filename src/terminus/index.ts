export {
  PayoutHealthIndicator,
  providePayoutHealth,
  type PayoutHealth,
  type PayoutHealthThresholds,
} from './payout.health.js';
