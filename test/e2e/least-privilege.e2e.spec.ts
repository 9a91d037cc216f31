import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { alikassaMigrations } from '../../migrations/index.js';
import { checkMigrations, migrateUp } from '../../src/app/database.js';
import { OnPayoutStatus } from '../../src/handlers/on.payout.status.js';
import type { PayoutStatusChange } from '../../src/payouts/handler.registry.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { guideSql, ownerOf, runAs } from '../helpers/least.privilege.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { create, historyOf } from '../helpers/payout.checks.js';
import { decideNow } from '../helpers/people.js';
import { unprotected } from '../helpers/unprotected.js';
import { until } from '../helpers/until.js';

const DENIED = /permission denied|must be owner/;
const handled: string[] = [];

@Injectable()
class Bookkeeper {
  @OnPayoutStatus('paid', 'fail')
  onEnd({ payout, to }: PayoutStatusChange): void {
    handled.push(`${payout.orderId} ${to}`);
  }
}

let surroundings: TestSurroundings;
let database: TestDatabase;
let host: TestApplication;
const logger = new LogLines();
const start = () =>
  startApplication({ surroundings, port: surroundings.port, providers: [Bookkeeper], logger, options: OPTIONS });
const OPTIONS = { worker: { sweepIntervalMs: 300 } };

beforeAll(async () => {
  surroundings = await prepare({ database: await createTestDatabase(undefined, true) });
  database = surroundings.database;
  host = await start();
});
afterAll(async () => {
  await host.stop();
  await surroundings.stop();
});

const post = (orderId: string, changes: object = {}) => create(host, payload({ order_id: orderId, ...changes }));

describe("the application's role", () => {
  it('is who every connection of the application is', async () => {
    const { rows } = await database.pool.query(
      `SELECT DISTINCT usename, application_name FROM pg_stat_activity
       WHERE datname = current_database() AND application_name <> 'test' ORDER BY 2`,
    );
    expect(rows).toEqual([
      { usename: 'alikassa_app', application_name: '' },
      { usename: 'alikassa_app', application_name: 'alikassa-worker' },
    ]);
  });

  it('pays out, and calls the handlers', async () => {
    const { id } = await post('paid');
    await host.until(id, 'paid');
    await until(() => handled.includes('paid paid'));
  });

  it('finds out what became of an unknown payout', async () => {
    host.simulator.script({ on: 'payout', orderId: 'unknown', drop: 'after', notification: 'lost' });
    const { id } = await post('unknown');
    await host.until(id, 'paid');
    expect(await historyOf(host, id)).toEqual(
      expect.arrayContaining(['submission:sending->unknown', expect.stringMatching(/^check:.*paid$/)]),
    );
  });

  it('takes notifications, again and against a final status too', async () => {
    const { id } = await post('notified', { amount: '12.04' });
    await host.until(id, 'wait');
    await host.simulator.settle('notified', 'paid');
    await host.until(id, 'paid');
    await host.simulator.settle('notified', 'fail');
    await until(async () => (await host.payouts.find(id)).attention.includes('conflict_status'));
    await decideNow(host.payouts, id, {
      outcome: 'acknowledge',
      reason: 'support: it was paid',
      attention: ['conflict_status'],
    });
    expect(await host.payouts.find(id)).toMatchObject({ status: 'paid', attention: [] });
  });

  it('carries out what a person decides', async () => {
    host.simulator.script({ on: 'payout', orderId: 'resolved', drop: 'before' });
    const { id } = await post('resolved');
    await host.until(id, 'unknown');
    await decideNow(host.payouts, id, { outcome: 'fail', reason: 'support: it never arrived' });
    await until(() => handled.includes('resolved fail'));
  });

  it('pauses an account and goes on', async () => {
    const answer = { status: 429, headers: { 'retry-after': '1' } };
    host.simulator.script({ on: 'payout', orderId: 'limited', accept: false, answer });
    const limited = await post('limited');
    await host.until(limited.id, 'unknown');
    const next = await post('after-the-pause');
    await host.until(next.id, 'paid');
  });

  it('sweeps: a lease that ran out, a job that was lost, one that a dead worker holds', async () => {
    const { id } = await post('swept', { amount: '3.04' });
    await host.until(id, 'wait');
    await unprotected(
      database.pool,
      `UPDATE alikassa_payouts SET status = 'sending', provider_id = NULL, lease_until = clock_timestamp(),
         due_at = NULL, revision = revision + 1 WHERE id = $1`,
      [id],
    );
    await until(async () => (await historyOf(host, id)).includes('lease_expired:sending->unknown'));
    await host.until(id, 'wait');
    await database.pool.query(
      `UPDATE alikassa_worker._private_jobs SET locked_at = now() - interval '1 h', locked_by = 'dead'
       WHERE key = 'alikassa_check:' || $1`,
      [id],
    );
    await database.pool.query("UPDATE alikassa_payouts SET due_at = now() - interval '1 h' WHERE id = $1", [id]);
    const before = (await host.payouts.find(id)).checkCount;
    await until(async () => (await host.payouts.find(id)).checkCount > before);
    await until(async () => {
      const sql = "SELECT 1 FROM alikassa_worker.jobs WHERE locked_by = 'dead'";
      return (await database.pool.query(sql)).rowCount === 0;
    });
  });

  it('starts again, and is told by the reference service that nothing is missing', async () => {
    await host.stop();
    host = await start();
    expect(await checkMigrations(database.url, 'alikassa_worker')).toContain(`${alikassaMigrations.length} applied`);
    const { id } = await post('after-restart');
    await host.until(id, 'paid');
  });

  it('was refused nothing on all these ways', () => {
    expect(logger.lines.filter((line) => /permission|policy|42501/.test(line))).toEqual([]);
  });

  it.each([
    "UPDATE alikassa_payout_events SET actor = 'x'",
    'DELETE FROM alikassa_payout_events',
    'TRUNCATE alikassa_payout_events CASCADE',
    'DELETE FROM alikassa_payouts',
    'TRUNCATE alikassa_payouts CASCADE',
    'DELETE FROM alikassa_notifications',
    'ALTER TABLE alikassa_payouts DISABLE TRIGGER ALL',
    'DROP TRIGGER alikassa_final ON alikassa_payouts',
    'SET session_replication_role = replica',
    'SELECT * FROM elsewhere',
    'INSERT INTO alikassa_migrations VALUES (99, 1, $$x$$)',
    'DELETE FROM alikassa_worker.migrations',
    'DROP POLICY alikassa_app ON alikassa_worker._private_jobs',
    'CREATE TABLE mine (id int)',
    'CREATE TABLE alikassa_worker.mine (id int)',
    'CREATE TEMPORARY TABLE mine (id int)',
    'CREATE SCHEMA mine',
    'CREATE ROLE mine',
    'SET ROLE alikassa_owner',
  ])('may not %s', async (sql) => {
    await database.pool.query('CREATE TABLE IF NOT EXISTS elsewhere (id int)');
    await expect(host.app.get(DataSource).query(sql)).rejects.toThrow(DENIED);
  });
});

describe('the owner', () => {
  it('migrates again, and grants again', async () => {
    const ownerUrl = ownerOf(database.url);
    expect(await migrateUp(ownerUrl, 'alikassa_worker')).toEqual([]);
    await runAs(ownerUrl, guideSql('grants'));
  });

  it('deletes what is old, and only that, and the triggers are back then', async () => {
    const old = await post('old');
    await host.until(old.id, 'paid');
    await until(() => handled.includes('old paid'));
    await until(async () => (await database.pool.query('SELECT 1 FROM alikassa_deliveries')).rowCount === 0);
    const older = "UPDATE alikassa_payouts SET settled_at = settled_at - interval '6 years' WHERE id = $1";
    await unprotected(database.pool, older, [old.id]);
    const orders = async () =>
      (await database.pool.query<{ order_id: string }>('SELECT order_id FROM alikassa_payouts ORDER BY 1')).rows.map(
        ({ order_id }) => order_id,
      );
    const before = await orders();
    await runAs(ownerOf(database.url), guideSql('purge'));
    expect(await orders()).toEqual(before.filter((order) => order !== 'old'));
    for (const table of ['alikassa_payouts', 'alikassa_payout_events']) {
      await expect(runAs(ownerOf(database.url), `DELETE FROM ${table}`)).rejects.toThrow('is refused');
    }
  });
});

describe('an application that is not set up as the guide says', () => {
  it.each([
    ['the engine is not there', 'DROP SCHEMA alikassa_worker CASCADE'],
    ['the engine is older than this version', 'DELETE FROM alikassa_worker.migrations WHERE id = 19'],
    ['the engine is not granted', 'REVOKE USAGE ON SCHEMA alikassa_worker FROM alikassa_app'],
  ])('does not start, and says so: %s', async (_, sql) => {
    const bare = await createTestDatabase(undefined, true);
    await bare.pool.query(sql);
    const around = { ...surroundings, database: bare };
    const starting = startApplication({ surroundings: around, logger: { log() {}, warn() {}, error() {} } });
    await expect(starting).rejects.toThrow(/^worker\.schema: holds no job engine .*migrate as the owner/);
    await bare.drop();
  });
});
