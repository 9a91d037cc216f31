import { Controller, Injectable, Scope } from '@nestjs/common';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutStatusChange } from '../../src/payouts/handler.registry.js';
import type { PayoutStatus } from '../../src/payouts/payout.status.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { until } from '../helpers/until.js';

const calls: { handler: string; change: PayoutStatusChange }[] = [];
let failures = 0;

@Injectable()
class Accounting {
  private readonly name = 'accounting';

  @OnPayoutStatus('paid', 'fail')
  onEnd(change: PayoutStatusChange): void {
    calls.push({ handler: this.name, change });
  }

  @OnPayoutStatus('queued')
  onAccepted(change: PayoutStatusChange): void {
    calls.push({ handler: 'accepted', change });
  }
}

@Injectable()
class Mailer {
  @OnPayoutStatus('paid')
  async onPaid(change: PayoutStatusChange): Promise<void> {
    calls.push({ handler: 'mailer', change });
    await Promise.resolve();
    if (failures-- > 0) throw new Error('The mail server is away');
  }
}

@Controller('desk')
class Desk {
  @OnPayoutStatus('rejected')
  onRejected(change: PayoutStatusChange): void {
    calls.push({ handler: 'desk', change });
  }
}

let host: TestApplication;
const warnings: string[] = [];
beforeAll(async () => {
  const warn = (message: string): number => warnings.push(message);
  const logger = { log: () => undefined, warn, error: warn };
  host = await startApplication({ providers: [Accounting, Mailer], controllers: [Desk], logger });
});
afterAll(async () => host.stop());
beforeEach(() => {
  calls.length = 0;
  failures = 0;
});

async function paidOut(amount: string): Promise<string> {
  const { body } = await host.http().post('/alikassa/payouts').send(payload({ amount }));
  return (body as { id: string }).id;
}
const callsOf = (id: string): string[] =>
  calls.filter(({ change }) => change.payout.id === id).map(({ handler, change }) => `${handler} ${change.to}`);
const owed = async (): Promise<number> =>
  (await host.database.pool.query('SELECT 1 FROM alikassa_deliveries')).rowCount ?? 0;

describe('a handler of the host', () => {
  it('is called once for each change to its statuses, as a method of its provider', async () => {
    const id = await paidOut('5.00');
    await until(async () => callsOf(id).length >= 3 && (await owed()) === 0);
    expect(callsOf(id).sort()).toEqual(['accepted queued', 'accounting paid', 'mailer paid']);
    const paid = calls.find(({ handler }) => handler === 'accounting')?.change;
    const { rows } = await host.database.pool.query(
      "SELECT key FROM alikassa_payout_events WHERE payout_id = $1 AND to_status = 'paid'",
      [id],
    );
    expect(paid).toMatchObject({ from: 'wait', to: 'paid', eventId: (rows as { key: string }[])[0]?.key });
    expect(paid?.occurredAt).toBeInstanceOf(Date);
    // What is erased or encrypted for others is so for handlers.
    expect(paid?.payout.recipientCiphertext).toBeUndefined();
  });

  it('that fails is called again with the same event id, and the others are not', async () => {
    failures = 1;
    const id = await paidOut('6.00');
    await until(async () => callsOf(id).length >= 4 && (await owed()) === 0);
    expect(callsOf(id).sort()).toEqual(['accepted queued', 'accounting paid', 'mailer paid', 'mailer paid']);
    const mails = calls.filter(({ handler }) => handler === 'mailer').map(({ change }) => change.eventId);
    expect(mails).toEqual([mails[0], mails[0]]);
    expect(warnings.join('\n')).toMatch(
      /Handler Mailer.onPaid failed on event \d+ .*The mail server is away.*again in/,
    );
  });

  it('is called for a provider that failed to pay, and no job is written where there is none', async () => {
    const failed = await paidOut('7.02');
    await until(() => callsOf(failed).length >= 2);
    expect(callsOf(failed).sort()).toEqual(['accepted queued', 'accounting fail']);
    const cancelled = await paidOut('7.03');
    await host.until(cancelled, 'cancel');
    await until(async () => (await owed()) === 0);
    expect(callsOf(cancelled)).toEqual(['accepted queued']);
  });

  it('may stand on a controller', async () => {
    const refused = await paidOut('7.01');
    await host.until(refused, 'rejected');
    await until(async () => (await owed()) === 0);
    expect(callsOf(refused).sort()).toEqual(['accepted queued', 'desk rejected']);
  });

  it('is owed no call by a payout whose transaction was rolled back', async () => {
    const { DataSource } = await import('typeorm');
    const order = payload({ order_id: 'rolled-back' });
    const work = host.app.get(DataSource).transaction(async (manager) => {
      await host.payouts.create(order as never, { manager });
      const inside: unknown[] = await manager.query('SELECT 1 FROM alikassa_deliveries');
      throw new Error(`${inside.length} owed inside`);
    });
    await expect(work).rejects.toThrow('1 owed inside');
    expect(await owed()).toBe(0);
  });

  it('that no process knows any more is waited for, and said', async () => {
    await host.database.pool.query(`
      WITH event AS (SELECT max(id) AS id FROM alikassa_payout_events), owed AS (
        INSERT INTO alikassa_deliveries (event_id, handler) SELECT id, 'Gone.method' FROM event RETURNING event_id)
      SELECT alikassa_worker.add_job('alikassa_deliver', json_build_object('eventId', event_id::text, 'handler', 'Gone.method'))
      FROM owed`);
    await until(() => warnings.some((line) => line.includes('Gone.method')));
    expect(warnings.join('\n')).toMatch(/Gone\.method.*was it renamed/);
    expect(await owed()).toBe(1);
    await host.database.pool.query('DELETE FROM alikassa_deliveries');
  });
});

describe('at the start', () => {
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    @OnPayoutStatus('paid')
    onPaid(): void {}
  }
  const Twin = (() => {
    @Injectable()
    class Accounting {
      @OnPayoutStatus('paid')
      onEnd(): void {}
    }
    return Accounting;
  })();
  @Injectable()
  class Misspelt {
    @OnPayoutStatus('payed' as PayoutStatus)
    onPaid(): void {}
  }

  it.each([
    ['on a request-scoped provider', [PerRequest], /PerRequest\.onPaid is on a request-scoped class/],
    ['whose name is taken', [Accounting, Twin], /two handlers named Accounting\.onEnd/],
    ['of a status that there is none', [Misspelt], /"payed" is no status/],
  ])('a handler %s is refused', async (_, providers, message) => {
    const surroundings = { ...host, stop: () => Promise.resolve(), port: 0 };
    await expect(
      startApplication({ surroundings, providers, logger: { log() {}, warn() {}, error() {} } }),
    ).rejects.toThrow(message);
  });
});
