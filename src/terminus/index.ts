export { PayoutHealthIndicator, type PayoutHealth, type PayoutHealthThresholds } from './payout.health.js';
