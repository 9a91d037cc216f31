import { randomUUID } from 'node:crypto';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { DatabaseUnavailableError, InvalidInputError } from '../../src/alikassa.errors.js';
import type { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { startPostgresServer } from '../helpers/postgres.server.js';
import { Statements } from '../helpers/statements.js';

const order = (): CreatePayoutDto => payload() as never;
const statements = new Statements();
let host: TestApplication;
let dataSource: DataSource;

beforeAll(async () => {
  host = await startApplication({
    options: { worker: { enabled: false } },
    // Few, so that a connection given back is somebody else's at once.
    dataSource: { extra: { max: 2 }, logging: true, logger: statements },
  });
  dataSource = host.app.get(DataSource);
});
afterAll(async () => host.stop());

async function rowsOf({ order_id }: CreatePayoutDto): Promise<number> {
  const sql = 'SELECT 1 FROM alikassa_payouts WHERE order_id = $1';
  return (await host.database.pool.query(sql, [order_id])).rowCount ?? 0;
}

/** Refused, with nothing said to any connection and nothing written. */
async function expectRefused(manager: EntityManager): Promise<void> {
  const dto = order();
  const before = statements.sent.length;
  await expect(host.payouts.create(dto, { manager })).rejects.toThrow(InvalidInputError);
  // What ends the transaction may be on its way.
  expect(statements.sent.slice(before).filter((sql) => sql !== 'COMMIT' && sql !== 'ROLLBACK')).toEqual([]);
  expect(await rowsOf(dto)).toBe(0);
}

async function begun(): Promise<QueryRunner> {
  const runner = dataSource.createQueryRunner();
  await runner.startTransaction();
  return runner;
}

describe('a manager whose transaction is over', () => {
  it('111: of a transaction that has ended, or is being ended -> refused, nothing written in any transaction', async () => {
    let kept: EntityManager | undefined;
    await dataSource.transaction(async (manager) => void (kept = manager));
    await expectRefused(kept!);
    await dataSource
      .transaction(async (manager) => {
        kept = manager;
        throw new Error('rolled back');
      })
      .catch(() => undefined);
    await expectRefused(kept!);

    for (const end of ['commitTransaction', 'rollbackTransaction'] as const) {
      const runner = await begun();
      const ending = runner[end]();
      await expectRefused(runner.manager);
      await ending;
      await expectRefused(runner.manager);
      await runner.release();
      // Both connections are in other transactions by now: one of them is the runner's.
      const others = await Promise.all([begun(), begun()]);
      await expectRefused(runner.manager);
      for (const other of others) {
        await other.commitTransaction();
        await other.release();
      }
    }
  });

  it('is refused where the transaction was never begun', async () => {
    const runner = dataSource.createQueryRunner();
    await expectRefused(runner.manager);
    await runner.connect();
    await expectRefused(runner.manager);
    await runner.release();
  });

  it('is refused where the runner was given back in the middle of it', async () => {
    const runner = await begun();
    const client = (await runner.connect()) as { query(sql: string): Promise<unknown> };
    await runner.release();
    const [dto, before] = [order(), statements.sent.length];
    await expect(host.payouts.create(dto, { manager: runner.manager })).rejects.toThrow(DatabaseUnavailableError);
    expect(statements.sent.length).toBe(before);
    await client.query('COMMIT');
    expect(await rowsOf(dto)).toBe(0);
  });

  it.each(['COMMIT', 'ROLLBACK'])('writes nothing where the host has ended it by its own %s', async (end) => {
    const runner = await begun();
    const dto = order();
    await runner.query(end);
    await expect(host.payouts.create(dto, { manager: runner.manager })).rejects.toThrow(InvalidInputError);
    const late = order();
    await runner.query('BEGIN');
    const ended = runner.query(end);
    await expect(host.payouts.create(late, { manager: runner.manager })).rejects.toThrow(InvalidInputError);
    await ended;
    await runner.release();
    expect([await rowsOf(dto), await rowsOf(late)]).toEqual([0, 0]);
  });

  it('is refused while a savepoint is rolled back, and taken again after it', async () => {
    const dto = order();
    await dataSource.transaction(async (manager) => {
      const inner = manager.transaction(async () => {
        throw new Error('inner');
      });
      const late: Promise<void>[] = [];
      // In every turn until the savepoint is gone.
      let isOver = false;
      const over = inner.catch(() => (isOver = true));
      while (!isOver) {
        if (manager.queryRunner?.isTransactionActive)
          late.push(
            host.payouts.create(order(), { manager }).then(
              () => undefined,
              () => undefined,
            ),
          );
        await turn();
      }
      await over;
      await Promise.all(late);
      await host.payouts.create(dto, { manager });
    });
    expect(await rowsOf(dto)).toBe(1);
  });
});

describe('a forgotten await', () => {
  let isInner = true;
  /** How late the payout is asked for: within the callback, as it ends, and after. */
  const DELAYS: (() => Promise<unknown> | undefined)[] = [
    () => undefined,
    () => Promise.resolve(),
    ...Array.from({ length: 12 }, (_, ticks) => async () => {
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    }),
    ...Array.from({ length: 6 }, (_, turns) => async () => {
      for (let count = 0; count <= turns; count++) await turn();
    }),
    ...[1, 2, 5].map((ms) => () => sleep(ms)),
  ];

  it.each(['commits', 'rolls back'])('of a transaction that %s writes with it, or nothing', async (how) => {
    for (const delay of DELAYS) {
      const [dto, marker] = [order(), randomUUID()];
      let created: Promise<boolean> | undefined;
      const work = dataSource.transaction(async (manager) => {
        await manager.query(`SELECT '${marker}'`);
        created = (async () => {
          await delay();
          await host.payouts.create(dto, { manager });
        })().then(
          () => true,
          () => false,
        );
        if (how === 'rolls back') throw new Error('rolled back');
      });
      await work.catch(() => undefined);
      const wasCreated = await created;
      expect(await rowsOf(dto)).toBe(how === 'commits' && wasCreated ? 1 : 0);
    }
  });

  it('of a savepoint that rolls back writes nothing', async () => {
    for (const delay of DELAYS) {
      const dto = order();
      let created: Promise<unknown> | undefined;
      await dataSource.transaction(async (outer) => {
        await outer
          .transaction(async (manager) => {
            created = (async () => {
              await delay();
              // Later it may be asked for by the transaction around it.
              if (isInner) await host.payouts.create(dto, { manager });
            })().catch(() => undefined);
            throw new Error('inner');
          })
          .catch(() => undefined)
          .finally(() => (isInner = false));
        await created;
      });
      expect(await rowsOf(dto)).toBe(0);
      isInner = true;
    }
  });
});

describe('a manager that may be used', () => {
  it('is the plain one, which has no transaction', async () => {
    const dto = order();
    await host.payouts.create(dto, { manager: dataSource.manager });
    expect(await rowsOf(dto)).toBe(1);
  });

  it('is that of an open transaction, for many payouts, and of one within it', async () => {
    const dtos = [order(), order(), order()];
    await dataSource.transaction(async (manager) => {
      await host.payouts.create(dtos[0]!, { manager });
      await manager.transaction(async (inner) => host.payouts.create(dtos[1]!, { manager: inner }));
      await Promise.all([dtos[2]!, dtos[0]!].map((dto) => host.payouts.create(dto, { manager })));
      expect(await rowsOf(dtos[0]!)).toBe(0);
    });
    expect(await Promise.all(dtos.map(rowsOf))).toEqual([1, 1, 1]);
  });

  it('costs a create without it no further statement', async () => {
    const before = statements.sent.length;
    await host.payouts.create(order());
    expect(statements.sent.length - before).toBe(1);
  });
});

describe('durability', () => {
  it('112: synchronous_commit is off by default -> a payout that was accepted survives a crash', async () => {
    const server = await startPostgresServer();
    try {
      const database = await server.createDatabase();
      // Nothing else writes the log meanwhile.
      await database.pool.query("ALTER SYSTEM SET wal_writer_delay = '10s'");
      await database.pool.query('ALTER SYSTEM SET synchronous_commit = off');
      await database.pool.query('ALTER SYSTEM SET autovacuum = off');
      await server.stop();
      await server.start();
      const own = await startApplication({ database, options: { worker: { enabled: false } } });
      const [alone, together] = [order(), order()];
      await own.payouts.create(alone);
      await own.app.get(DataSource).transaction(async (manager) => own.payouts.create(together, { manager }));
      await server.crash();
      await server.start();
      const { rows } = await database.pool.query<{ order_id: string }>('SELECT order_id FROM alikassa_payouts');
      expect(rows.map(({ order_id }) => order_id).toSorted()).toEqual([alone.order_id, together.order_id].toSorted());
      await own.stop();
    } finally {
      await server.remove();
    }
  }, 60_000);

  it.each([
    ['off', 'on'],
    ['on', 'on'],
    ['local', 'local'],
    ['remote_write', 'remote_write'],
    ['remote_apply', 'remote_apply'],
  ])('of %s becomes %s', async (chosen, then) => {
    const found = await dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL synchronous_commit = ${chosen}`);
      await host.payouts.create(order(), { manager });
      return manager.query<{ synchronous_commit: string }[]>('SHOW synchronous_commit');
    });
    expect(found).toEqual([{ synchronous_commit: then }]);
  });
});
