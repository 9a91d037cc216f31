import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type Provider } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { mendOf } from '../payouts/database.errors.js';
import { PayoutOverview, type Overview } from '../payouts/payout.overview.js';
import { getAliKassaToken } from '../payouts/payout.tokens.js';
import { SignatureProvider } from '../provider/signature.provider.js';
import { WorkerService } from '../worker/worker.service.js';

/** From where on the payouts count as down. Without one, its value is only told. Beyond it means more than it. */
export interface PayoutHealthThresholds {
  /** Seconds that something due has been waiting for its turn. */
  maxQueueLagSeconds?: number;
  /** Seconds since the oldest payout that is `unknown` was created. */
  maxUnknownSeconds?: number;
  /** Payouts that carry `attention`. */
  maxAttention?: number;
  /** Handlers (`@OnPayoutStatus`) of this process whose calls hang. */
  maxHangingHandlers?: number;
  /** Milliseconds in which the database must have answered. Default 3000. */
  timeoutMs?: number;
}

/** What is told of them; no ids, no recipients. Of `queueLagSeconds` and what follows nothing without the database. */
export interface PayoutHealth {
  /** `refusing`: it answers, and refuses statements for good, e.g. since it is read only; `refused` says by which SQLSTATE. */
  database: 'up' | 'down' | 'refusing';
  refused?: string[];
  /** The job engine of this process; `off` where `worker.enabled` is false. */
  engine: 'running' | 'stopped' | 'off';
  key: 'loaded' | 'failing';
  queueLagSeconds?: number;
  oldestUnknownSeconds?: number;
  attention?: number;
  /** Names of the handlers of this process with calls that do not return; left out where there are none. */
  hangingHandlers?: string[];
  /** Why it is down, one sentence each. */
  problems?: string[];
}

const TIMEOUT_MS = 3_000;

/**
 * Health of the payouts, for a `HealthCheckService` of @nestjs/terminus. A provider of the host's own module, which
 * imports `TerminusModule` and `AliKassaModule`.
 */
@Injectable()
export class PayoutHealthIndicator {
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(PayoutOverview) private readonly overview: PayoutOverview,
    @Inject(WorkerService) private readonly worker: WorkerService,
    @Inject(SignatureProvider) private readonly signature: SignatureProvider,
  ) {}

  /**
   * Down without database, engine or payout key, and beyond a threshold. What the database says is up to 5 s old.
   * @param key name in the answer.
   */
  async isHealthy<Key extends string>(
    key: Key,
    thresholds: PayoutHealthThresholds = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const [overview, signs] = await Promise.all([this.read(thresholds.timeoutMs ?? TIMEOUT_MS), this.signs()]);
    const engine = this.worker.isEnabled ? (this.worker.isRunning ? 'running' : 'stopped') : 'off';
    const { refused } = this.overview;
    const hangingHandlers = [...this.worker.hangingHandlers.keys()];
    const attention = overview?.attention.reduce((sum, { count }) => sum + count, 0);
    const health: PayoutHealth = {
      database: refused.length > 0 ? 'refusing' : overview ? 'up' : 'down',
      ...(refused.length > 0 && { refused }),
      engine,
      key: signs ? 'loaded' : 'failing',
      ...(overview && {
        queueLagSeconds: Math.round(Math.max(overview.lagSeconds.payouts, overview.lagSeconds.handlers)),
        oldestUnknownSeconds: Math.round(overview.oldestUnknownSeconds),
        attention,
      }),
      ...(hangingHandlers.length > 0 && { hangingHandlers }),
    };
    const problems = problemsOf(health, thresholds);
    const check = this.indicators.check(key);
    return (
      problems.length === 0 ? check.up({ ...health }) : check.down({ ...health, problems })
    ) as HealthIndicatorResult<Key>;
  }

  /** A pool that is used up does not answer at all. */
  private async read(timeoutMs: number): Promise<Overview | undefined> {
    const tooLate = sleep(timeoutMs, undefined, { ref: false });
    return Promise.race([this.overview.read().catch(() => undefined), tooLate]);
  }

  private async signs(): Promise<boolean> {
    return this.signature.sign('health').then(
      () => true,
      () => false,
    );
  }
}

/**
 * The indicator of a named instance, for the providers of the host's own module:
 * `@Inject(getAliKassaToken(PayoutHealthIndicator, name))` injects it.
 * @param instance its `name`.
 */
export function providePayoutHealth(instance: string): Provider {
  const of = getAliKassaToken;
  return {
    provide: of(PayoutHealthIndicator, instance),
    inject: [
      HealthIndicatorService,
      of(PayoutOverview, instance),
      of(WorkerService, instance),
      of(SignatureProvider, instance),
    ],
    useFactory: (...parts: ConstructorParameters<typeof PayoutHealthIndicator>) => new PayoutHealthIndicator(...parts),
  };
}

function problemsOf(health: PayoutHealth, thresholds: PayoutHealthThresholds): string[] {
  const problems: string[] = [];
  if (health.database === 'down') problems.push('The database does not answer.');
  for (const state of health.refused ?? []) {
    problems.push(`The database refuses statements (${state}): ${mendOf(state)}.`);
  }
  if (health.engine === 'stopped') problems.push('The job engine does not run; it is started again by itself.');
  if (health.key === 'failing') problems.push('The payout key does not sign.');
  const beyond = (value: number | undefined, most: number | undefined, what: string): void => {
    if (value !== undefined && most !== undefined && value > most)
      problems.push(`${what}: ${value}, more than ${most}.`);
  };
  beyond(health.queueLagSeconds, thresholds.maxQueueLagSeconds, 'Seconds that the queue lags');
  beyond(health.oldestUnknownSeconds, thresholds.maxUnknownSeconds, 'Age of the oldest unknown payout in seconds');
  beyond(health.attention, thresholds.maxAttention, 'Payouts with attention');
  const { hangingHandlers = [] } = health;
  beyond(hangingHandlers.length, thresholds.maxHangingHandlers, `Handlers that hang (${hangingHandlers.join(', ')})`);
  return problems;
}
