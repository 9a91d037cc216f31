import { Injectable } from '@nestjs/common';
import type { MetricData } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { prepare, RUB, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { forgedQuery, signedQuery } from '../helpers/notification.query.js';
import { payload } from '../helpers/payload.js';
import { Statements } from '../helpers/statements.js';
import { startTelemetry, type Telemetry } from '../helpers/telemetry.js';
import { eventually } from '../helpers/until.js';

@Injectable()
class Accounting {
  @OnPayoutStatus('paid')
  onPaid(): void {}
}

const JOB = `SELECT payload FROM alikassa_worker._private_jobs AS job
  JOIN alikassa_worker._private_tasks AS task ON task.id = job.task_id WHERE task.identifier = 'alikassa_submit'`;

describe('with an SDK', () => {
  let telemetry: Telemetry;
  let host: TestApplication;
  beforeAll(async () => {
    telemetry = startTelemetry();
    // No notification: the status call settles.
    host = await startApplication({
      providers: [Accounting],
      options: { notificationUrl: undefined },
      simulator: { notificationUrl: undefined },
    });
  });
  afterAll(async () => {
    await host.stop();
    await telemetry.stop();
  });

  const paidOut = async (changes: Record<string, unknown> = {}): Promise<PayoutDto> => {
    const { body } = await host.http().post('/alikassa/payouts').send(payload(changes));
    return host.until((body as PayoutDto).id, 'paid');
  };
  const spansOf = (id: string): ReadableSpan[] =>
    telemetry.spans().filter(({ attributes }) => attributes['alikassa.payout.id'] === id);
  const spanOf = async (id: string, name: string): Promise<ReadableSpan> =>
    eventually(`a span ${name}`, () => spansOf(id).find((span) => span.name === name));
  const points = async (name: string): Promise<MetricData['dataPoints']> =>
    (await telemetry.metrics()).get(name)?.dataPoints ?? [];
  const countOf = async (name: string, attributes: object): Promise<number> => {
    const point = (await points(name)).find((one) =>
      Object.entries(attributes).every(([key, value]) => one.attributes[key] === value),
    );
    return typeof point?.value === 'number' ? point.value : (point?.value.count ?? 0);
  };

  it('create, submission, check and handler are one trace, over the queue', async () => {
    const { id } = await paidOut();
    const create = await spanOf(id, 'alikassa.payout.create');
    const submit = await spanOf(id, 'alikassa.payout.submit');
    const check = await spanOf(id, 'alikassa.payout.check');
    const handler = await spanOf(id, 'alikassa.handler');
    const chain = [create, submit, check, handler];
    expect(new Set(chain.map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(submit.parentSpanContext?.spanId).toBe(create.spanContext().spanId);
    expect(submit.attributes).toMatchObject({
      'alikassa.account': RUB,
      'alikassa.service': 'qiwi_rub',
      'alikassa.outcome': 'ok',
      'alikassa.payout.attempt': 1,
    });
    expect(handler.attributes).toMatchObject({ 'alikassa.handler': 'Accounting.onPaid', 'alikassa.outcome': 'ok' });
    const call = telemetry.spans().find((span) => span.parentSpanContext?.spanId === submit.spanContext().spanId);
    expect(call).toMatchObject({
      name: 'POST /v1/payout',
      attributes: { 'http.response.status_code': 200, 'alikassa.outcome': 'ok' },
    });
  });

  it('a notification is a span of its payout, with what became of it', async () => {
    const { id, order_id, provider_id } = await paidOut();
    const query = signedQuery(host.simulator, { id: provider_id, order_id });
    await host.http().get(`/alikassa/notifications?${query}`).expect(200);
    const span = await spanOf(id, 'alikassa.notification');
    expect(span.attributes['alikassa.notification.result']).toBe('unchanged');
    expect(await countOf('alikassa.notifications', { 'alikassa.notification.result': 'unchanged' })).toBe(1);
  });

  it('a forged notification is counted and leaves no span', async () => {
    const before = telemetry.spans().filter(({ name }) => name === 'alikassa.notification').length;
    await host
      .http()
      .get(`/alikassa/notifications?${forgedQuery(host.simulator)}`)
      .expect(403);
    expect(await countOf('alikassa.notifications', { 'alikassa.notification.result': 'mismatch' })).toBe(1);
    expect(telemetry.spans().filter(({ name }) => name === 'alikassa.notification')).toHaveLength(before);
  });

  it('submissions are counted by account, service and outcome', async () => {
    const outcome = { 'alikassa.account': RUB, 'alikassa.service': 'qiwi_rub' };
    const ok = await countOf('alikassa.payout.submission.duration', { ...outcome, 'alikassa.outcome': 'ok' });
    await paidOut();
    expect(await countOf('alikassa.payout.submission.duration', { ...outcome, 'alikassa.outcome': 'ok' })).toBe(ok + 1);
    const { body } = await host
      .http()
      .post('/alikassa/payouts')
      .send(payload({ amount: '5.01' }));
    await eventually('it was refused', async () =>
      countOf('alikassa.payout.submission.duration', { ...outcome, 'alikassa.outcome': 'refused' }),
    );
    await host.until((body as PayoutDto).id, 'rejected');
    expect(await countOf('alikassa.payout.settled', { ...outcome, 'alikassa.payout.status': 'rejected' })).toBe(1);
  });

  it('status calls, handler calls and signatures are timed', async () => {
    await paidOut();
    expect(await countOf('alikassa.payout.check.duration', { 'alikassa.outcome': 'ok' })).toBeGreaterThan(0);
    await eventually('the handler was timed', async () =>
      countOf('alikassa.handler.duration', { 'alikassa.handler': 'Accounting.onPaid', 'alikassa.outcome': 'ok' }),
    );
    expect(await countOf('alikassa.signature.duration', { 'alikassa.signature.operation': 'sign' })).toBeGreaterThan(0);
    expect(await countOf('alikassa.signature.duration', { 'alikassa.signature.operation': 'verify' })).toBeGreaterThan(
      0,
    );
  });

  it('the payouts of every process are told by their statuses, with the lag of the queue', async () => {
    const all = await telemetry.metrics();
    const statuses = all
      .get('alikassa.payouts')
      ?.dataPoints.filter(({ attributes }) => attributes['alikassa.account'] === RUB);
    expect(statuses?.map(({ attributes }) => attributes['alikassa.payout.status']).toSorted()).toEqual([
      'queued',
      'sending',
      'unknown',
      'wait',
    ]);
    expect(all.get('alikassa.queue.lag')?.dataPoints.map(({ attributes }) => attributes)).toEqual([
      { 'alikassa.instance': 'default', 'alikassa.queue': 'payouts' },
      { 'alikassa.instance': 'default', 'alikassa.queue': 'handlers' },
    ]);
    expect(all.get('alikassa.worker.running')?.dataPoints[0]?.value).toBe(1);
    expect(all.get('alikassa.payouts.unknown.age')?.dataPoints[0]?.value).toBe(0);
  });

  it('no span and no metric tells of a recipient, and none of an order', async () => {
    const { id, order_id } = await paidOut({ customer_first_name: 'Zebedee', customer_phone: '79001112299' });
    await spanOf(id, 'alikassa.handler');
    const spans = JSON.stringify(
      telemetry.spans().map(({ name, attributes, events, status }) => [name, attributes, events, status]),
    );
    const told = JSON.stringify([...(await telemetry.metrics()).values()]);
    expect([spans.includes(id), told.includes('qiwi_rub')]).toEqual([true, true]);
    for (const secret of ['79005554455', 'Zebedee', '79001112299', order_id]) {
      expect([spans.includes(secret), told.includes(secret)]).toEqual([false, false]);
    }
    expect(told).not.toContain(id);
  });
});

describe('without an SDK', () => {
  let surroundings: TestSurroundings;
  let sender: TestApplication;
  const statements = new Statements();
  beforeAll(async () => {
    surroundings = await prepare();
    sender = await startApplication({
      surroundings,
      options: { worker: { enabled: false } },
      dataSource: { logging: true, logger: statements },
    });
  });
  afterAll(async () => {
    await sender.stop();
    await surroundings.stop();
  });

  it('the database is never asked how the payouts stand', async () => {
    await sender.http().post('/alikassa/payouts').send(payload()).expect(201);
    expect(statements.sent.filter((sql) => sql.includes('INSERT INTO')).length).toBeGreaterThan(0);
    expect(statements.sent.filter((sql) => sql.includes('json_agg'))).toEqual([]);
  });

  it('nothing is added to a job, and such a job runs where there is one', async () => {
    const { body } = await sender.http().post('/alikassa/payouts').send(payload());
    const { id } = body as PayoutDto;
    expect((await surroundings.database.pool.query(JOB)).rows).toContainEqual({ payload: { payoutId: id } });
    const telemetry = startTelemetry();
    const worker = await startApplication({ surroundings });
    await worker.until(id, 'paid');
    const submit = telemetry.spans().find(({ name }) => name === 'alikassa.payout.submit');
    expect(submit?.parentSpanContext).toBeUndefined();
    await worker.stop();
    await telemetry.stop();
  });

  it('a job with a traceparent that cannot be read runs all the same', async () => {
    const { body } = await sender.http().post('/alikassa/payouts').send(payload());
    const { id } = body as PayoutDto;
    await surroundings.database.pool.query(
      `SELECT alikassa_worker.add_job('alikassa_submit', json_build_object('payoutId', $1::text, 'traceparent', '00-x'),
         job_key := 'alikassa_submit:' || $1)`,
      [id],
    );
    const telemetry = startTelemetry();
    const worker = await startApplication({ surroundings });
    expect((await worker.until(id, 'paid')).status).toBe('paid');
    await worker.stop();
    await telemetry.stop();
  });
});
