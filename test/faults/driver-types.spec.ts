import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { RecipientRotation } from '../../src/payouts/recipient.rotation.js';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutStatusChange } from '../../src/payouts/handler.registry.js';
import { PayoutOverview } from '../../src/payouts/payout.overview.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { payload } from '../helpers/payload.js';
import { eventually } from '../helpers/until.js';

const heard: PayoutStatusChange[] = [];

@Injectable()
class Ledger {
  @OnPayoutStatus('paid')
  onPaid(change: PayoutStatusChange): void {
    heard.push(change);
  }
}

const SESSION = {
  datestyle: "'German, DMY'",
  timezone: "'Asia/Kolkata'",
  intervalstyle: 'sql_standard',
  extra_float_digits: '-15',
  bytea_output: 'escape',
};
/** bool, bytea, int8, int2, int4, json, float4, float8, date, timestamp, timestamptz, numeric, uuid, jsonb, lists. */
const OIDS = [16, 17, 20, 21, 23, 114, 700, 701, 1082, 1114, 1184, 1700, 2950, 3802, 1009, 2951, 1007];

let database: TestDatabase;
let around: TestSurroundings;
let host: TestApplication;

/** What a host's parsers may be. */
const PARSERS: [string, (oid: number) => (text: string) => unknown][] = [
  ['of numbers', (oid) => (oid === 20 ? BigInt : oid === 1700 ? parseFloat : (text) => text)],
  ['that leave nothing as it is', () => (text) => ({ wrapped: text })],
];

it.each(PARSERS)("136: the host's parsers %s, DateStyle and the like -> the same results", async (_, parser) => {
  const originals = OIDS.map((oid) => [oid, pg.types.getTypeParser(oid)] as const);
  const keys = ['new', 'old'].map((id) => ({ id, key: randomBytes(32).toString('base64') }));
  database = await createTestDatabase();
  for (const [name, value] of Object.entries(SESSION)) {
    await database.pool.query(`ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET ${name} = ${value}`);
  }
  for (const oid of OIDS) pg.types.setTypeParser(oid, parser(oid));
  try {
    around = await prepare({ database, options: { encryptionKeys: keys.slice(1) } });
    host = await startApplication({
      surroundings: around,
      port: around.port,
      providers: [Ledger],
      dataSource: { parseInt8: true },
    });
    const before = Date.now();
    const dto = payload({ amount: '900719925.41', customer_first_name: 'Иван' });
    const created = await host.payouts.create(dto as never);
    expect(created).toMatchObject({ amount: '900719925.41', attempt: 0, revision: 0, possiblySent: false });
    expect(created.seq).toMatch(/^[0-9]+$/);
    expect(Math.abs(created.createdAt.getTime() - before)).toBeLessThan(60_000);
    const shown = await host.until(created.id, 'paid');
    expect(shown).toMatchObject({ amount: '900719925.41', payment_amount: '900719925.41', is_partial_payment: false });
    expect(shown.provider_id).toMatch(/^[0-9]+$/);
    expect(Math.abs(Date.parse(shown.settled_at ?? '') - before)).toBeLessThan(60_000);

    const page = await host.payouts.list({ order_id: created.orderId });
    expect(page.data).toEqual([await host.payouts.find(created.id)]);
    expect((await host.payouts.search({ number: '79005554455', limit: 1 })).data).toEqual(page.data);
    const { nextCursor } = await host.payouts.list({ limit: 1 });
    expect(nextCursor).toBeNull();
    const events = await host.payouts.events(created.id);
    expect(events.map(({ type, attempt, detail }) => [type, attempt, typeof detail])).toContainEqual([
      'claimed',
      1,
      'object',
    ]);
    for (const { createdAt, id } of events)
      expect([createdAt instanceof Date, /^[0-9]+$/.test(id)]).toEqual([true, true]);

    const [change] = await eventually('the handler is called', () => heard.length > 0 && heard.splice(0));
    expect(change).toMatchObject({
      eventId: events.find(({ toStatus }) => toStatus === 'paid')?.key,
      payout: { amount: '900719925.41' },
    });
    expect(Math.abs((change?.occurredAt.getTime() ?? 0) - before)).toBeLessThan(60_000);

    const overview = await host.app.get(PayoutOverview).read();
    expect([typeof overview.lagSeconds.payouts, typeof overview.open[0]?.count]).toEqual(['number', 'number']);
    expect(overview.oldestUnknownSeconds).toBe(0);
    await host.stop();
    host = await startApplication({ surroundings: around, port: around.port, options: { encryptionKeys: keys } });
    const report = await host.app.get(RecipientRotation).run();
    expect([report.rotated, report.unreadable]).toEqual([1, 0]);
    expect(await host.payouts.createOrFind(dto as never)).toMatchObject({
      created: false,
      payout: { id: created.id },
    });
  } finally {
    for (const [oid, original] of originals) pg.types.setTypeParser(oid, original as never);
    pg.defaults.parseInt8 = false;
    await host.stop();
    await around.stop();
  }
});
