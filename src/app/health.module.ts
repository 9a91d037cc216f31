import { Controller, Get, Inject, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import { PayoutHealthIndicator } from '../terminus/index.js';

/** Without a token, for probes: it tells no ids. */
@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(PayoutHealthIndicator) private readonly payouts: PayoutHealthIndicator,
  ) {}

  /** No thresholds: a backlog that took every replica out of service would only grow. It is what alerts are for. */
  @Get()
  @HealthCheck()
  async check(): Promise<HealthCheckResult> {
    return this.health.check([async () => this.payouts.isHealthy('payouts')]);
  }
}

/** `GET /health`: 200, or 503 without database, engine or key. Needs @nestjs/terminus. */
@Module({
  // Whoever probes would fill the log; worker and store log what is wrong themselves.
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [PayoutHealthIndicator],
})
export class HealthModule {}
