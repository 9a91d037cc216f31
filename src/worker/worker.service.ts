import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Logger as EngineLogger, run, runMigrations, type Runner, type TaskList } from 'graphile-worker';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import type { ResolvedOptions } from '../alikassa.options.js';
import { addSweepJobSql, CHECK_TASK, SUBMIT_TASK, SWEEP_TASK, type PayoutJob } from '../payouts/payout.queue.js';
import type { CheckTask } from './check.task.js';
import type { SubmitTask } from './submit.task.js';
import type { SweepTask } from './sweep.task.js';
import { createWorkerPool } from './worker.pool.js';

const RESTART_PAUSE_MS = 500;

/** Runs the job engine with the application: starts with it, is started anew when it ends by itself, drains at the end. */
@Injectable()
export class WorkerService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('AliKassaWorker');
  private readonly running = new Set<Promise<void>>();
  private pool?: pg.Pool;
  private runner?: Runner;
  private sweepTimer?: NodeJS.Timeout;
  private supervision?: Promise<void>;
  private stopping = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    private readonly submit: SubmitTask,
    private readonly check: CheckTask,
    private readonly sweep: SweepTask,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { concurrency, enabled, schema, sweepIntervalMs } = this.options.worker;
    this.pool = createWorkerPool(this.dataSource, concurrency + 2);
    // Accepting a payout adds a job, so the engine's tables must be there even where no worker runs.
    await runMigrations({ pgPool: this.pool, schema, logger: this.engineLogger() });
    if (!enabled) return;
    await this.startRunner();
    this.supervision = this.supervise();
    this.sweepTimer = setInterval(() => void this.askForSweep(), sweepIntervalMs);
    await this.askForSweep();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearInterval(this.sweepTimer);
    // Ended by itself already: then there is nothing to stop.
    await this.runner?.stop().catch((error: Error) => this.logger.debug(`The runner had ended: ${error.message}`));
    await Promise.allSettled(this.running);
    await this.supervision;
    await this.pool?.end();
  }

  /** Whether the engine is taking jobs. */
  get isRunning(): boolean {
    return this.runner !== undefined && !this.stopping;
  }

  private async startRunner(): Promise<void> {
    const { concurrency, schema } = this.options.worker;
    this.runner = await run({
      pgPool: this.pool,
      taskList: this.taskList(),
      noHandleSignals: true,
      crontab: '',
      logger: this.engineLogger(),
      preset: {
        worker: {
          schema,
          concurrentJobs: concurrency,
          // Batched completion without delay: a longer one loses finished jobs when the pool ends.
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          localQueue: { size: concurrency },
        },
      },
    });
  }

  /** The engine's loop ends at the first database error (graphile/worker issue 636), sometimes without an error. */
  private async supervise(): Promise<void> {
    while (!this.stopping) {
      const ended = this.runner?.promise.then(
        () => 'it ended without an error',
        (error: Error) => error.message,
      );
      const reason = await ended;
      this.runner = undefined;
      if (this.stopping) return;
      this.logger.warn(`The worker stopped: ${reason ?? 'it never started'}; starting it again.`);
      await Promise.allSettled(this.running);
      await sleep(RESTART_PAUSE_MS);
      await this.startRunner().catch((error: Error) => this.logger.warn(`The worker did not start: ${error.message}`));
    }
  }

  private taskList(): TaskList {
    return {
      [SUBMIT_TASK]: (payload) => this.track(this.submit.run(payoutIdOf(payload))),
      [CHECK_TASK]: (payload) => this.track(this.check.run(payoutIdOf(payload))),
      [SWEEP_TASK]: () => this.track(this.sweep.run()),
    };
  }

  private async track(work: Promise<void>): Promise<void> {
    this.running.add(work);
    try {
      await work;
    } finally {
      this.running.delete(work);
    }
  }

  private async askForSweep(): Promise<void> {
    try {
      await this.pool?.query(addSweepJobSql(this.options.worker.schema));
    } catch (error) {
      if (!this.stopping) this.logger.warn(`A sweep could not be asked for: ${(error as Error).message}`);
    }
  }

  private engineLogger(): EngineLogger {
    return new EngineLogger(() => (level, message) => {
      if (level === 'error') this.logger.error(message);
      else if (level === 'warning') this.logger.warn(message);
      else this.logger.verbose(message);
    });
  }
}

function payoutIdOf(payload: unknown): string {
  return (payload as PayoutJob).payoutId;
}
