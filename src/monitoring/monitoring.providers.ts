import type { Provider } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { PayoutOverview } from '../payouts/payout.overview.js';
import { ALIKASSA_OPTIONS } from '../payouts/payout.tokens.js';
import { WorkerService } from '../worker/worker.service.js';
import { PayoutGauges } from './payout.gauges.js';

/** What the module tells of itself. */
export const monitoringProviders: Provider[] = [
  {
    provide: PayoutOverview,
    inject: [DataSource, ALIKASSA_OPTIONS],
    useFactory: (...parts: ConstructorParameters<typeof PayoutOverview>) => new PayoutOverview(...parts),
  },
  {
    provide: PayoutGauges,
    inject: [PayoutOverview, WorkerService],
    useFactory: (...parts: ConstructorParameters<typeof PayoutGauges>) => new PayoutGauges(...parts),
  },
];
