import { HealthIndicatorService } from '@nestjs/terminus';
import { DataSource } from 'typeorm';
import { resolveOptions } from '../../src/alikassa.options.js';
import { createApp } from '../../src/app/main.js';
import { loadConfig } from '../../src/app/app.config.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { PayoutHealthIndicator } from '../../src/terminus/index.js';
import { WorkerService } from '../../src/worker/worker.service.js';
import { prepare, startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { startPostgresServer, type PostgresServer } from '../helpers/postgres.server.js';
import { referenceEnvironment } from '../helpers/reference.js';
import { unprotected } from '../helpers/unprotected.js';
import { eventually } from '../helpers/until.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

describe('GET /health', () => {
  let server: PostgresServer;
  let port: number;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    server = await startPostgresServer();
    cleanups.push(() => server.remove());
    const surroundings = await prepare({ database: await server.createDatabase() });
    cleanups.push(() => surroundings.stop());
    ({ port } = surroundings);
    const app = await createApp(loadConfig({ ...referenceEnvironment(surroundings), LOG_LEVEL: 'fatal' }));
    stop = () => app.close();
    cleanups.push(() => stop());
    await app.listen(port, '127.0.0.1');
  });
  const health = async (): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('answers 200 to anyone, with no more than states and numbers', async () => {
    const payouts = {
      status: 'up',
      database: 'up',
      engine: 'running',
      key: 'loaded',
      queueLagSeconds: 0,
      oldestUnknownSeconds: 0,
      attention: 0,
    };
    expect(await health()).toEqual({
      status: 200,
      body: { status: 'ok', info: { payouts }, error: {}, details: { payouts } },
    });
  });

  it('answers 503 while Postgres is stopped, and 200 when it is back', async () => {
    await server.stop();
    // The engine may stop first, while what the database last said is still told.
    await eventually('its database is down', async () => {
      const down = { status: 'error', error: { payouts: { database: 'down' } } };
      expect(await health()).toMatchObject({ status: 503, body: down });
      return true;
    });
    await server.start();
    await eventually('it is up again', async () => (await health()).status === 200);
  });
});

describe('the health of payouts', () => {
  let host: TestApplication;
  beforeAll(async () => {
    host = await startApplication({
      providers: [HealthIndicatorService, PayoutHealthIndicator],
      options: { checkSchedule: [3_600_000], notificationUrl: undefined },
    });
    cleanups.push(() => host.stop());
  });
  const check = async (thresholds = {}, worker = host.app.get(WorkerService)): Promise<Record<string, unknown>> => {
    // Made anew: the application's own may tell what it read five seconds ago.
    const overview = new PayoutOverview(host.app.get(DataSource), resolveOptions(host.options));
    const [indicators, signature] = [host.app.get(HealthIndicatorService), host.app.get(SignatureProvider)];
    const indicator = new PayoutHealthIndicator(indicators, overview, worker, signature);
    return (await indicator.isHealthy('payouts', thresholds)).payouts;
  };

  it('is up by the indicator that a host provides', async () => {
    expect((await host.app.get(PayoutHealthIndicator).isHealthy('payouts')).payouts.status).toBe('up');
  });

  it('tells of attention and of the oldest unknown payout, and is down beyond a threshold', async () => {
    const { body } = await host
      .http()
      .post('/alikassa/payouts')
      .send(payload({ amount: '5.01' }));
    await host.until((body as { id: string }).id, 'unknown');
    await unprotected(
      host.database.pool,
      `UPDATE alikassa_payouts SET attention = 'not_found', created_at = now() - interval '100 s',
         due_at = now() - interval '50 s'`,
    );
    const told = await check();
    expect(told).toMatchObject({ status: 'up', attention: 1 });
    expect(told.oldestUnknownSeconds).toBeGreaterThanOrEqual(100);
    expect(told.queueLagSeconds).toBeGreaterThanOrEqual(50);
    expect(await check({ maxAttention: 1, maxUnknownSeconds: 3_600, maxQueueLagSeconds: 3_600 })).toMatchObject({
      status: 'up',
    });
    for (const beyond of [{ maxAttention: 0 }, { maxUnknownSeconds: 99 }, { maxQueueLagSeconds: 49 }]) {
      expect(await check(beyond)).toMatchObject({ status: 'down', problems: [expect.any(String)] });
    }
  });

  it('is down where the database does not answer in time', async () => {
    const client = await host.database.pool.connect();
    try {
      await client.query('BEGIN; LOCK TABLE alikassa_payouts IN ACCESS EXCLUSIVE MODE');
      const { database, problems } = await check({ timeoutMs: 100 });
      expect({ database, problems }).toEqual({ database: 'down', problems: ['The database does not answer.'] });
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it.each([
    [true, { status: 'down', engine: 'stopped', problems: [expect.stringContaining('job engine')] }],
    [false, { status: 'up', engine: 'off' }],
  ])('where the engine has stopped: enabled %s', async (enabled, expected) => {
    const other = await startApplication({
      surroundings: { ...host, port: 0 },
      options: { worker: { enabled, sweepIntervalMs: 500 } },
    });
    const worker = other.app.get(WorkerService);
    await other.stop();
    expect(await check({}, worker)).toMatchObject(expected);
  });
});
