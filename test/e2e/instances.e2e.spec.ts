import { Inject, Injectable, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutStatusChange } from '../../src/payouts/handler.registry.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { PayoutService } from '../../src/payouts/payout.service.js';
import { getAliKassaToken, InjectPayoutService } from '../../src/payouts/payout.tokens.js';
import { RecipientRotation } from '../../src/payouts/recipient.rotation.js';
import { AliKassaClient } from '../../src/provider/provider.client.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { WorkerService } from '../../src/worker/worker.service.js';
import { RUB } from '../helpers/application.js';
import {
  payoutOf,
  SECOND_ACCOUNT,
  startInstances,
  type TestInstance,
  type TwoInstances,
} from '../helpers/instances.js';
import { signedQuery } from '../helpers/notification.query.js';
import { historyOf } from '../helpers/payout.checks.js';
import { eventually } from '../helpers/until.js';

const EXPORTED = [PayoutService, PayoutOverview, RecipientRotation, SignatureProvider, AliKassaClient, WorkerService];
const calls: string[] = [];
const note = (handler: string, { payout, to }: PayoutStatusChange): void =>
  void calls.push(`${handler} ${payout.instance} ${payout.orderId} ${to}`);

@Injectable()
class Ledger {
  constructor(
    @Inject(PayoutService) readonly payouts: PayoutService,
    @InjectPayoutService('second') readonly seconds: PayoutService,
  ) {}

  @OnPayoutStatus('paid', 'fail')
  onEnd(change: PayoutStatusChange): void {
    note('all', change);
  }

  @OnPayoutStatus({ instance: 'second' }, 'paid', 'fail')
  onSecondEnd(change: PayoutStatusChange): void {
    note('second', change);
  }

  @OnPayoutStatus({ instance: 'default' }, 'queued')
  @OnPayoutStatus({ instance: 'second' }, 'paid')
  onSome(change: PayoutStatusChange): void {
    note('some', change);
  }
}

/** Imports nothing: what it injects is global. */
@Module({ providers: [Ledger], exports: [Ledger] })
class HostModule {}

let host: TwoInstances;
let first: TestInstance;
let second: TestInstance;
beforeAll(async () => {
  host = await startInstances({
    imports: [HostModule],
    options: { pauseMs: 60_000 },
    first: { isGlobal: true },
    second: { isGlobal: true },
  });
  ({ first, second } = host);
});
afterAll(() => host.stop());

const rows = async (sql: string, params: unknown[] = []): Promise<Record<string, unknown>[]> =>
  (await host.around.database.pool.query<Record<string, unknown>>(sql, params)).rows;
const ids = ({ data }: { data: { id: string }[] }): string[] => data.map(({ id }) => id);

describe('two instances in one application', () => {
  it('are injected by their names, each with providers of its own; the class is that without a name', () => {
    const { payouts, seconds } = host.app.get(Ledger);
    expect([payouts === first.payouts, seconds === second.payouts, payouts === seconds]).toEqual([true, true, false]);
    for (const type of EXPORTED) {
      const own = host.app.get<object>(getAliKassaToken<object>(type as never, 'second'));
      expect(own).toBeInstanceOf(type);
      expect(own).not.toBe(host.app.get(type as never));
    }
  });

  it('both pay through their own provider, with their own keys, and are notified at their own endpoints', async () => {
    const [a, b] = [await first.create(), await second.create()];
    expect([a.instance, b.instance]).toEqual(['default', 'second']);
    await first.until(a.id, 'paid');
    await second.until(b.id, 'paid');
    expect([first.simulator.accepted(a.orderId), second.simulator.accepted(b.orderId)]).toEqual([1, 1]);
    expect([first.simulator.accepted(b.orderId), second.simulator.accepted(a.orderId)]).toEqual([0, 0]);
    expect([first.simulator.signatureFailures, second.simulator.signatureFailures]).toEqual([0, 0]);
    const inbox = await eventually('both are notified', async () => {
      const found = await rows(
        'SELECT instance, order_id, result FROM alikassa_notifications WHERE order_id = ANY ($1) ORDER BY instance',
        [[a.orderId, b.orderId]],
      );
      return found.length === 2 && found;
    });
    expect(inbox.map(({ instance, order_id }) => [instance, order_id])).toEqual([
      ['default', a.orderId],
      ['second', b.orderId],
    ]);
  });

  it('take the same order_id independently, and each once', async () => {
    const order_id = 'the-same';
    const [a, b] = [await first.create({ order_id }), await second.create({ order_id, amount: '7.00' })];
    expect([(await first.create({ order_id })).id, (await second.create({ order_id, amount: '7.00' })).id]).toEqual([
      a.id,
      b.id,
    ]);
    await expect(second.create({ order_id })).rejects.toThrow('other content');
    await first.until(a.id, 'paid');
    await second.until(b.id, 'paid');
    expect([first.simulator.accepted(order_id), second.simulator.accepted(order_id)]).toEqual([1, 1]);
    expect(ids(await first.payouts.list({ order_id }))).toEqual([a.id]);
    expect(ids(await second.payouts.list({ order_id }))).toEqual([b.id]);
  });

  it('know each other’s payouts neither by id nor in lists nor by a recipient', async () => {
    const number = '79005550001';
    const [a, b] = [await first.create({ number }), await second.create({ number })];
    await first.until(a.id, 'paid');
    await second.until(b.id, 'paid');
    const http = host.http();
    for (const [own, foreign] of [
      [first, b.id],
      [second, a.id],
    ] as const) {
      const at = `${own.path}/payouts/${foreign}`;
      const answers = await Promise.all([
        http.get(at),
        http.get(`${at}/events`),
        http.post(`${at}/refresh`),
        http.post(`${at}/withdraw`).set('If-Match', '"1"'),
        http.post(`${at}/resolve`).set('If-Match', '"1"').send({ outcome: 'fail', reason: 'r' }),
      ]);
      expect(answers.map(({ status, body }) => [status, (body as { code: string }).code])).toEqual(
        answers.map(() => [404, 'payout_not_found']),
      );
      const lists = [
        await own.payouts.list({ limit: 100 }),
        await own.payouts.list({ status: 'paid', limit: 100 }),
        await own.payouts.search({ number }),
      ];
      for (const list of lists) {
        expect(ids(list)).not.toContain(foreign);
        expect(list.data.length).toBeGreaterThan(0);
      }
    }
    expect(await historyOf({ http: () => host.http() }, a.id)).toHaveLength((await first.payouts.events(a.id)).length);
  });

  it('show no instance over REST: where it was asked for says it', async () => {
    const { id } = await second.create();
    const { body } = (await host.http().get(`${second.path}/payouts/${id}`)) as { body: PayoutDto };
    expect(body).toMatchObject({ id, account: SECOND_ACCOUNT });
    expect(body).not.toHaveProperty('instance');
  });

  it('refuse each other’s accounts', async () => {
    await expect(first.create({ account: SECOND_ACCOUNT })).rejects.toThrow('not one of the configured accounts');
    await expect(second.create({ account: RUB })).rejects.toThrow('not one of the configured accounts');
  });
});

describe('a notification', () => {
  const notify = async (at: TestInstance, query: string): Promise<number> =>
    (await host.http().get(`${at.path}/notifications?${query}`)).status;
  const resultsOf = async (orderId: string): Promise<unknown[]> =>
    rows('SELECT instance, result FROM alikassa_notifications WHERE order_id = $1 ORDER BY id', [orderId]);

  it('that one merchant’s key has signed is refused at the other’s endpoint, before and after it is known', async () => {
    const orderId = 'signed-elsewhere';
    second.simulator.script({ on: 'payout', orderId, accept: false, stall: true });
    const { id } = await second.create({ order_id: orderId });
    const facts = { id: '700000001', order_id: orderId, account: SECOND_ACCOUNT };
    expect(await notify(second, signedQuery(first.simulator, facts))).toBe(403);
    expect(await notify(first, signedQuery(second.simulator, facts))).toBe(403);
    expect(await resultsOf(orderId)).toEqual([]);
    expect((await second.payouts.find(id)).status).not.toBe('paid');
    expect(await notify(second, signedQuery(second.simulator, facts))).toBe(200);
    expect((await second.payouts.find(id)).status).toBe('paid');
  });

  it('settles nothing of the other instance, even with its order and its account', async () => {
    const orderId = 'of-the-second';
    second.simulator.script({ on: 'payout', orderId, accept: false, answer: { status: 500 } });
    const { id } = await second.create({ order_id: orderId, amount: '13.00' });
    await second.until(id, 'unknown');
    const facts = { order_id: orderId, amount: '13.00' };
    expect(await notify(first, signedQuery(first.simulator, { ...facts, account: SECOND_ACCOUNT }))).toBe(200);
    expect(await notify(first, signedQuery(first.simulator, { ...facts, account: RUB }))).toBe(200);
    expect(await resultsOf(orderId)).toEqual([
      { instance: 'default', result: 'unmatched' },
      { instance: 'default', result: 'unmatched' },
    ]);
    expect((await second.payouts.events(id)).map(({ type }) => type)).not.toContain('notification');
    expect((await second.payouts.find(id)).status).toBe('unknown');
  });
});

describe('a transaction of the host', () => {
  it('creates in both, or in neither', async () => {
    const dataSource = host.app.get(DataSource);
    const [kept, gone] = ['both-kept', 'both-gone'];
    const both = async (order_id: string, fault?: Error): Promise<void> =>
      dataSource.transaction(async (manager) => {
        await first.payouts.create(payoutOf(RUB, { order_id }), { manager });
        await second.payouts.create(payoutOf(SECOND_ACCOUNT, { order_id }), { manager });
        if (fault) throw fault;
      });
    await expect(both(gone, new Error('the host changed its mind'))).rejects.toThrow('changed its mind');
    await both(kept);
    expect(
      await rows('SELECT instance, order_id FROM alikassa_payouts WHERE order_id LIKE $1 ORDER BY 1', ['both-%']),
    ).toEqual([
      { instance: 'default', order_id: kept },
      { instance: 'second', order_id: kept },
    ]);
    for (const one of [first, second]) {
      const [payout] = (await one.payouts.list({ order_id: kept })).data;
      await one.until(String(payout?.id), 'paid');
      expect(one.simulator.accepted(gone)).toBe(0);
    }
  });

  it('on another DataSource than the payouts’ is refused, and writes nothing', async () => {
    const other = await new DataSource({
      ...(host.app.get(DataSource).options as { type: 'postgres' }),
    }).initialize();
    const order_id = 'elsewhere';
    await expect(
      other.transaction((manager) => second.payouts.create(payoutOf(SECOND_ACCOUNT, { order_id }), { manager })),
    ).rejects.toThrow('another DataSource than the payouts of the instance "second"');
    await other.destroy();
    expect(await rows('SELECT 1 FROM alikassa_payouts WHERE order_id = $1', [order_id])).toEqual([]);
  });
});

describe('a handler', () => {
  it('hears of every instance, or of the one that it names; several decorators add up; once each', async () => {
    const [a, b] = [await first.create({ order_id: 'h-first' }), await second.create({ order_id: 'h-second' })];
    await first.until(a.id, 'paid');
    await second.until(b.id, 'paid');
    const heard = (): string[] => calls.filter((call) => / h-(?:first|second) /.test(call)).toSorted();
    await eventually('all are called', () => heard().length >= 5);
    await eventually('none is owed', async () => (await rows('SELECT 1 FROM alikassa_deliveries')).length === 0);
    expect(heard()).toEqual([
      'all default h-first paid',
      'all second h-second paid',
      'second second h-second paid',
      'some default h-first queued',
      'some second h-second paid',
    ]);
  });
});

describe('a merchant whose key is refused', () => {
  it('is paused, and the other goes on', async () => {
    const order_id = 'refused';
    second.simulator.script({ on: 'payout', orderId: order_id, accept: false, answer: { status: 401 } });
    const refused = await second.create({ order_id });
    await second.until(refused.id, 'unknown');
    const held = await second.create();
    await eventually('it is held', async () =>
      (await second.payouts.find(held.id)).attention.includes('paused_unauthorized'),
    );
    const { id } = await first.create();
    await first.until(id, 'paid');
    expect((await second.payouts.find(held.id)).status).toBe('queued');
    await rows('DELETE FROM alikassa_account_pauses');
  });
});
