import { Injectable, Scope, type OnModuleInit, type Provider } from '@nestjs/common';
import { HealthIndicatorService } from '@nestjs/terminus';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutStatusChange } from '../../src/payouts/handler.registry.js';
import { PayoutService } from '../../src/payouts/payout.service.js';
import { PayoutHealthIndicator } from '../../src/terminus/index.js';
import { prepare, startApplication, type TestApplication, type TestSetup } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, latch } from '../helpers/payout.checks.js';
import { eventually } from '../helpers/until.js';

let hosts: TestApplication[] = [];
let logger: LogLines;
let calls: string[] = [];
beforeEach(() => {
  [hosts, calls, logger] = [[], [], new LogLines()];
});
afterEach(async () => {
  for (const host of hosts) await host.stop();
});

async function start(setup: TestSetup): Promise<TestApplication> {
  const host = await startApplication({ logger, ...setup });
  hosts.push(host);
  return host;
}
const owed = async ({ database }: TestApplication): Promise<number> =>
  (await database.pool.query('SELECT 1 FROM alikassa_deliveries')).rowCount ?? 0;
const called = (call: string) => eventually(`${call} is called`, () => calls.includes(call));
const note = (handler: string, { to, payout }: PayoutStatusChange): void =>
  void calls.push(`${handler} ${to} ${payout.orderId}`);

describe('before the handlers were found', () => {
  @Injectable()
  class Ledger {
    @OnPayoutStatus('queued', 'paid')
    onChange(change: PayoutStatusChange): void {
      note('ledger', change);
    }
  }
  @Injectable()
  class EarlyBird implements OnModuleInit {
    constructor(private readonly payouts: PayoutService) {}
    async onModuleInit(): Promise<void> {
      await this.payouts.create(payload({ order_id: 'hook' }) as never);
    }
  }
  Reflect.defineMetadata('design:paramtypes', [PayoutService], EarlyBird);

  it('113: a change before the handlers were found (async factory, onModuleInit) -> its calls are owed, and made', async () => {
    const provide = { inject: [PayoutService] };
    const host = await start({
      providers: [
        EarlyBird,
        {
          provide: 'early',
          ...provide,
          useFactory: async (payouts: PayoutService) => payouts.create(payload({ order_id: 'factory' }) as never),
        },
        // What a factory makes is known last.
        { provide: 'ledger', inject: ['early'], useFactory: () => new Ledger() },
      ] as Provider[],
    });
    for (const order of ['factory', 'hook']) {
      await called(`ledger queued ${order}`);
      await called(`ledger paid ${order}`);
    }
    await eventually('no call is owed any more', async () => (await owed(host)) === 0);
    expect(calls).toHaveLength(4);
  });

  it('a call that nobody turns out to wait for is not owed for good', async () => {
    const host = await start({ providers: [EarlyBird] });
    await eventually('no call is owed any more', async () => (await owed(host)) === 0);
    expect(logger.lines.join('\n')).not.toMatch(/was it renamed/);
  });
});

describe('a handler that hangs', () => {
  let { held, letGo } = latch();
  let isHanging = true;
  let under = 0;
  let most = 0;
  beforeEach(() => {
    ({ held, letGo } = latch());
    [isHanging, under, most] = [true, 0, 0];
  });
  afterEach(() => letGo());

  @Injectable()
  class Stuck {
    @OnPayoutStatus('queued')
    async onAccepted(change: PayoutStatusChange): Promise<void> {
      most = Math.max(most, ++under);
      if (isHanging) await held;
      under -= 1;
      note('stuck', change);
    }
  }
  @Injectable()
  class Other {
    @OnPayoutStatus('paid')
    onPaid(change: PayoutStatusChange): void {
      note('other', change);
    }
  }
  const PLACES = 3;
  const options = { worker: { concurrency: PLACES, handlerTimeoutMs: 1_000, sweepIntervalMs: 500 } };
  const providers = [Stuck, Other, HealthIndicatorService, PayoutHealthIndicator];
  const pay = async (host: TestApplication, count: number): Promise<string[]> => {
    const payouts = await Promise.all(Array.from({ length: count }, () => create(host, payload())));
    await Promise.all(payouts.map(({ id }) => host.until(id, 'paid')));
    return payouts.map(({ orderId }) => orderId);
  };

  it('114: a handler that never returns, ten times -> payouts, checks, sweeps and other handlers go on, health names it', async () => {
    const host = await start({ providers, options });
    const orders = await pay(host, 12);
    for (const order of orders) await called(`other paid ${order}`);
    await eventually('all places of the handler hang', () => under >= PLACES);
    const health = host.app.get(PayoutHealthIndicator);
    await eventually('health names it', async () => {
      const { payouts } = await health.isHealthy('payouts');
      return JSON.stringify(payouts.hangingHandlers) === '["Stuck.onAccepted"]';
    });
    expect((await health.isHealthy('payouts', { maxHangingHandlers: 0 })).payouts).toMatchObject({
      status: 'down',
      problems: [expect.stringContaining('Stuck.onAccepted')],
    });
    expect(logger.lines.join('\n')).toMatch(/Stuck\.onAccepted failed .* it hangs/);
    // Again, now that all of its places are taken: and a payout whose only way on is the sweep.
    const [next] = await pay(host, 1);
    await called(`other paid ${next}`);
    const { id } = await create(host, payload({ amount: '12.04' }));
    await host.until(id, 'wait');
    await host.database.pool.query('DELETE FROM alikassa_worker._private_jobs');
    await host.simulator.settle((await host.payouts.find(id)).orderId, 'paid');
    await host.until(id, 'paid');
    expect(most).toBeLessThanOrEqual(PLACES + 2);

    // It recovers; those that hung never return.
    isHanging = false;
    for (const order of [...orders, next]) await called(`stuck queued ${order}`);
  }, 90_000);

  it('that returns late is not called again for that', async () => {
    const host = await start({ providers, options });
    const [order] = await pay(host, 1);
    await eventually('its time is over', () => logger.lines.some((line) => line.includes('it hangs')));
    letGo();
    await called(`stuck queued ${order}`);
    await eventually('no call is owed any more', async () => (await owed(host)) === 0);
  });

  it('does not keep the application from ending', async () => {
    const host = await start({ providers, options: { worker: { ...options.worker, handlerTimeoutMs: 600_000 } } });
    await pay(host, 4);
    await eventually('it hangs', () => under > 0);
    const began = performance.now();
    await hosts.pop()!.stop();
    expect(performance.now() - began).toBeLessThan(20_000);
  }, 40_000);
});

describe('a handler in disguise', () => {
  /** As other libraries' decorators do: another function in the method's place. */
  function Wrapped(_: object, __: string | symbol, descriptor: PropertyDescriptor): void {
    const original = descriptor.value as (...parts: unknown[]) => unknown;
    descriptor.value = function wrapper(this: unknown, ...parts: unknown[]) {
      calls.push('wrapper');
      return original.apply(this, parts);
    };
  }
  /** As decorators do that bind methods. */
  function Bound(_: object, __: string | symbol, { value, ...rest }: PropertyDescriptor): PropertyDescriptor {
    return { configurable: true, enumerable: rest.enumerable, get: () => (value as () => unknown).bind(undefined) };
  }
  const symbol = Symbol('onSymbol');

  @Injectable()
  class Disguised {
    @Wrapped
    @OnPayoutStatus('queued')
    before(change: PayoutStatusChange): void {
      note('before', change);
    }

    @OnPayoutStatus('queued')
    @Wrapped
    after(change: PayoutStatusChange): void {
      note('after', change);
    }

    @Bound
    @OnPayoutStatus('queued')
    bound(change: PayoutStatusChange): void {
      note('bound', change);
    }

    @OnPayoutStatus('queued')
    [symbol](change: PayoutStatusChange): void {
      note('symbol', change);
    }
  }
  abstract class Base {
    protected abstract readonly who: string;

    @OnPayoutStatus('queued')
    inherited(change: PayoutStatusChange): void {
      note(this.who, change);
    }

    @OnPayoutStatus('queued')
    overridden(): void {}
  }
  @Injectable()
  class Child extends Base {
    protected readonly who: string = 'child';

    override overridden(): void {
      calls.push('overridden');
    }
  }
  @Injectable()
  class Redecorated extends Base {
    protected readonly who: string = 'redecorated';

    @OnPayoutStatus('paid')
    override overridden(change?: PayoutStatusChange): void {
      if (change) note('redecorated anew', change);
    }
  }
  /** As bundlers leave it. */
  const minified = (name: string, filter?: { name: string }, provide = filter?.name ?? name): Provider => {
    class Minified {
      onPaid(change: PayoutStatusChange): void {
        note(`minified ${filter?.name}`, change);
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Minified.prototype, 'onPaid')!;
    const decorate = filter ? OnPayoutStatus(filter, 'paid') : OnPayoutStatus('paid');
    decorate(Minified.prototype, 'onPaid', descriptor as TypedPropertyDescriptor<(change: PayoutStatusChange) => void>);
    Object.defineProperty(Minified, 'name', { value: name });
    return { provide, useValue: new Minified() };
  };
  @Injectable({ scope: Scope.TRANSIENT })
  class PerUse {
    @OnPayoutStatus('paid')
    onPaid(): void {}
  }

  it('138: another decorator wraps the method, before or after; inherited, a symbol, minified with a name -> called', async () => {
    const host = await start({
      providers: [Disguised, Child, Redecorated, minified('a', { name: 'ledger' }), minified('a', { name: 'mail' })],
    });
    const [payout] = [await create(host, payload())];
    const queued = ['before', 'after', 'bound', 'symbol', 'child', 'redecorated'];
    for (const handler of queued) await called(`${handler} queued ${payout.orderId}`);
    for (const handler of ['redecorated anew', 'minified ledger', 'minified mail']) {
      await called(`${handler} paid ${payout.orderId}`);
    }
    await called('overridden');
    await eventually('no call is owed any more', async () => (await owed(host)) === 0);
    expect(calls.filter((call) => call === 'wrapper')).toHaveLength(2);
    expect(calls.filter((call) => call === 'overridden')).toHaveLength(1);
    expect(calls).toHaveLength(12);
  });

  it.each([
    ['on a transient provider', [PerUse], /PerUse\.onPaid is on a transient class; make it a singleton/],
    ['of a minified class', [minified('a')], /"a\.onPaid" is no name that lasts.*\{ name: 'ledger' \}/],
    ['of a class without a name', [minified('')], /"\.onPaid" is no name that lasts.*\{ name: 'ledger' \}/],
    ['whose name is too long', [minified('Ledger', { name: 'x'.repeat(201) })], /1 to 200 characters/],
    ['whose name is blank', [minified('Ledger', { name: ' ' })], /1 to 200 characters/],
    ['whose place is too long', [minified('L'.repeat(200))], /longer than 200 characters; give it a name/],
    [
      'with the name of another',
      [minified('Ledger', { name: 'ledger' }), minified('Mail', { name: 'ledger' }, 'mail')],
      /two handlers named ledger; .*\{ name \}/,
    ],
  ])('a handler %s is refused at the start, with the remedy', async (_, providers, message) => {
    const surroundings = await prepare({});
    const refused = start({ surroundings, port: surroundings.port, providers: providers as Provider[] });
    await expect(refused).rejects.toThrow(message);
    await surroundings.stop();
  });

  it('that was given a name takes the calls that are owed under its place', async () => {
    const host = await start({ providers: [minified('Ledger', { name: 'ledger' })] });
    const { id, orderId } = await create(host, payload());
    await called(`minified ledger paid ${orderId}`);
    await host.database.pool.query(
      `WITH owed AS (
         INSERT INTO alikassa_deliveries (event_id, handler)
         SELECT id, 'Ledger.onPaid' FROM alikassa_payout_events WHERE payout_id = $1 AND to_status = 'paid'
         RETURNING event_id, handler)
       SELECT alikassa_worker.add_job('alikassa_deliver', json_build_object('eventId', event_id::text, 'handler', handler))
       FROM owed`,
      [id],
    );
    await eventually('it is called again', () => calls.length === 2);
    await eventually('no call is owed any more', async () => (await owed(host)) === 0);
  });

  it('cannot be static', () => {
    class Broken {}
    const decorate = (): void => OnPayoutStatus('paid')(Broken, 'onPaid', {});
    expect(decorate).toThrow(/Broken\.onPaid is static/);
  });
});
