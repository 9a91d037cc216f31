import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpanKind } from '@opentelemetry/api';
import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import {
  Logger as EngineLogger,
  run,
  runMigrations,
  type Runner,
  type TaskList,
  type WorkerEvents,
} from 'graphile-worker';
import type { DataSource } from 'typeorm';
import { ConfigurationError, DatabaseRefusedError, DatabaseUnavailableError } from '../alikassa.errors.js';
import type { ResolvedOptions } from '../alikassa.options.js';
import { CalmLog } from '../instrumentation/calm.log.js';
import { traced } from '../instrumentation/spans.js';
import { dropSilent, poolOf } from '../payouts/database.connections.js';
import { faultsOf } from '../payouts/database.faults.js';
import {
  addSweepJobSql,
  jobQueueOf,
  unlockJobsSql,
  type DeliveryJob,
  type PayoutJob,
} from '../payouts/payout.queue.js';
import type { DatabaseEpochs } from '../payouts/database.epochs.js';
import { query } from '../payouts/database.statements.js';
import type { CheckTask } from './check.task.js';
import type { DeliverTask } from './deliver.task.js';
import type { SubmitTask } from './submit.task.js';
import type { SweepTask } from './sweep.task.js';
import { createWorkerPool, guardConnections, type WorkerPool } from './worker.pool.js';

const RESTART_PAUSE_MS = 500;
/** How long the end of the application waits for handlers: their calls are owed on, whoever makes them next. */
const HANDLERS_DRAIN_MS = 10_000;
/** How long it waits for tasks beyond what the provider is given for an answer; and where no result can be written. */
const DRAIN_MS = { beyondAnswer: 5_000, withoutDatabase: 5_000 };
const NEEDS_OWNER =
  "holds no job engine of this version that the database's role may use; migrate as the owner and grant it (docs/DATABASE.md)";

/** Runs the job engine with the application: starts with it, is started anew when it ends by itself, drains at the end. */
@Injectable()
export class WorkerService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('AliKassaWorker');
  private readonly calm = new CalmLog((line) => this.logger.warn(line));
  private readonly running = new Set<Promise<void>>();
  private pool?: WorkerPool;
  private runner?: Runner;
  private sweepTimer?: NodeJS.Timeout;
  private supervision?: Promise<void>;
  /** Under which the engine that runs, or ran last, locks its jobs. */
  private engineId?: string;
  private stopping = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ResolvedOptions,
    private readonly submit: SubmitTask,
    private readonly check: CheckTask,
    private readonly sweep: SweepTask,
    private readonly deliver: DeliverTask,
    private readonly epochs: DatabaseEpochs,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { concurrency, enabled, schema, sweepIntervalMs } = this.options.worker;
    this.pool = createWorkerPool(this.dataSource, concurrency + 2);
    guardConnections(this.dataSource);
    // Accepting a payout adds a job, so the engine's tables must be there even where no worker runs.
    await runMigrations({ pgPool: this.pool, schema, logger: this.engineLogger() }).catch((error: unknown) => {
      throw isDenied(error) ? new ConfigurationError('worker.schema', NEEDS_OWNER) : error;
    });
    // Before there is a payout: the first epoch doubts none.
    await this.epochs.open();
    if (!enabled) return;
    await this.checkConnections(concurrency + 2);
    this.supervision = this.supervise(await this.startRunner());
    this.sweepTimer = setInterval(() => void this.askForSweep(), sweepIntervalMs);
    await this.askForSweep();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearInterval(this.sweepTimer);
    const drained = new AbortController();
    await Promise.race([this.drain(), this.drainLimit(drained.signal)]);
    drained.abort();
    await this.pool?.finish();
  }

  private async drain(): Promise<void> {
    // Ended by itself already: then there is nothing to stop.
    await this.runner?.stop().catch((error: Error) => this.logger.debug(`The runner had ended: ${error.message}`));
    await Promise.allSettled([...this.running, this.deliver.drain(HANDLERS_DRAIN_MS)]);
    await this.supervision;
  }

  /** What is not done then is found by another process, or after the next start. */
  private async drainLimit(drained: AbortSignal): Promise<void> {
    // Silent connections of the host's pool would keep it from ending, too.
    const dropped = dropSilent(poolOf(this.dataSource));
    const isReachable = this.pool && (await dropSilent(this.pool));
    await dropped;
    const ms = isReachable ? this.options.timeoutMs + DRAIN_MS.beyondAnswer : DRAIN_MS.withoutDatabase;
    await sleep(ms, undefined, { ref: false, signal: drained });
    this.logger.warn(
      'The application ends while tasks are under way; their leases run out, and another process goes on.',
    );
  }

  /** Whether this process is to run one at all. */
  get isEnabled(): boolean {
    return this.options.worker.enabled;
  }

  /** Whether the engine is taking jobs. */
  get isRunning(): boolean {
    return this.runner !== undefined && !this.stopping;
  }

  /** With more than the server has, the engine would fail again and again, and take those of everybody else. */
  private async checkConnections(needed: number): Promise<void> {
    const setting = "SELECT current_setting('max_connections')::int AS most";
    const [row] = await query<{ most: number }>(this.dataSource, setting);
    if (!row || needed <= row.most) return;
    throw new ConfigurationError(
      'worker.concurrency',
      `takes ${needed} connections; the server has ${row.most} in all`,
    );
  }

  /** Handlers with calls that do not return, and how many. */
  get hangingHandlers(): ReadonlyMap<string, number> {
    return this.deliver.hanging;
  }

  private async startRunner(): Promise<Runner> {
    const { concurrency, schema } = this.options.worker;
    // What the last engine has left locked would wait for hours otherwise.
    if (this.engineId) await this.pool?.query(unlockJobsSql(schema), [[this.engineId]]);
    const events: WorkerEvents = new EventEmitter();
    events.once('pool:create', ({ workerPool }) => (this.engineId = workerPool.id));
    this.runner = await run({
      pgPool: this.pool,
      taskList: this.taskList(),
      noHandleSignals: true,
      // None: an empty `crontab` would be taken for none given, and the file of that name in the working directory be read.
      parsedCronItems: [],
      logger: this.engineLogger(),
      events,
      preset: {
        worker: {
          schema,
          concurrentJobs: concurrency,
          // Batched completion without delay: a longer one loses finished jobs when the pool ends.
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          // No `localQueue`: one that holds jobs as the pool shuts down leaves a promise without a handler, which ends the
          // process (its release() throws while its jobs are being returned).
        },
      },
    });
    return this.runner;
  }

  /**
   * The engine's loop ends at the first database error (graphile/worker issue 636), sometimes without an error, and
   * sometimes without ever settling its promise: what is seen first counts.
   */
  private async supervise(first: Runner): Promise<void> {
    for (let runner: Runner | undefined = first; !this.stopping;) {
      const reason: string = runner ? await endOf(runner) : 'it did not start';
      this.runner = undefined;
      if (this.stopping) return;
      this.calm.say('stopped', `The worker stopped: ${reason}; starting it again.`);
      // Tasks of the old engine may go on: a job only triggers, and what a task does is fenced. Waiting for a provider
      // that does not answer would stop everything else.
      await sleep(RESTART_PAUSE_MS);
      runner = await this.startRunner().catch((error: Error) => this.reportFailedStart(error));
    }
    // It was being started while the application began to stop.
    await this.runner?.stop();
  }

  private reportFailedStart(error: Error): undefined {
    this.calm.say('failed start', `The worker did not start: ${error.message}`);
  }

  private taskList(): TaskList {
    const { tasks } = jobQueueOf(this.options);
    return {
      [tasks.submit]: (payload) =>
        this.track(asJob('alikassa.payout.submit', payload as PayoutJob, ({ payoutId }) => this.submit.run(payoutId))),
      [tasks.check]: (payload) =>
        this.track(asJob('alikassa.payout.check', payload as PayoutJob, ({ payoutId }) => this.check.run(payoutId))),
      [tasks.deliver]: (payload) =>
        this.track(asJob('alikassa.handler', payload as DeliveryJob, (job) => this.deliver.run(job))),
      [tasks.sweep]: () => this.track(this.sweep.run()),
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
    const faults = faultsOf(this.dataSource);
    try {
      await this.pool?.query(addSweepJobSql(jobQueueOf(this.options)));
      faults.worked('sweep');
    } catch (error) {
      if (this.stopping) return;
      faults.failed('sweep', error);
      this.calm.say('sweep', `A sweep could not be asked for: ${(error as Error).message}`);
    }
  }

  /**
   * Warnings and errors only: the engine has two lines for every job, and what became of a payout ours say. What the database
   * is at fault for may come with every job.
   */
  private engineLogger(): EngineLogger {
    return new EngineLogger(() => (level, message, meta) => {
      const error: unknown = meta?.error;
      const isDatabases = error instanceof DatabaseUnavailableError || error instanceof DatabaseRefusedError;
      if (isDatabases) this.calm.say(error.code, `A task failed: ${error.message}`);
      else if (level === 'error') this.logger.error(message);
      else if (level === 'warning') this.logger.warn(message);
    });
  }
}

async function endOf(runner: Runner): Promise<string> {
  return Promise.race([
    runner.promise.then(
      () => 'it ended without an error',
      (error: Error) => error.message,
    ),
    once(runner.events, 'pool:gracefulShutdown').then(() => 'its pool shut down'),
  ]);
}

/** SQLSTATE 42501: the role may not read the engine's tables, or not make what they lack. */
function isDenied(error: unknown): boolean {
  return (error as { code?: unknown }).code === '42501';
}

/** In the trace of whoever added the job. */
async function asJob<Job extends PayoutJob | DeliveryJob>(
  name: string,
  job: Job,
  work: (job: Job) => Promise<void>,
): Promise<void> {
  return traced(name, { kind: SpanKind.CONSUMER, traceparent: job.traceparent }, () => work(job));
}
