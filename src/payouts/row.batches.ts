import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { Batcher } from './batcher.js';
import { isHeldUp, isRefusedStatement } from './database.errors.js';
import { lockBound, prepared } from './database.statements.js';
import { endedTransaction, markOf } from './host.transaction.js';
import { remembered } from './remembered.js';

/** A statement that is made for many rows at once. */
export interface RowStatement {
  /** Of `wanted`, which holds what is asked for; the first one tells the rows apart. */
  columns: readonly { name: string; type: string }[];
  /** What follows `WITH wanted AS (...)`. */
  sql: string;
  /** Column of the result that says which row of `wanted` it answers. */
  key: string;
  /** Index of the column that tells what a write may have to wait for, e.g. another row with the same order_id; default 0. */
  contended?: number;
  /** Whether it writes: then only the first of several with the same key is done, the others get no answer. */
  isWrite: boolean;
}

/** A setting of ours that a transaction takes with it when it ends. */
const MARK = 'alikassa.transaction';

export type ResultRow = Record<string, unknown>;

/**
 * A statement that takes long waits for another transaction's lock; what comes later goes on beside it. There are at most
 * five of a kind, half of what pg's pool holds by default.
 */
const LIMITS = { size: 100, atOnce: 2, patienceMs: 250, stuck: 3 };
/**
 * How long a write waits for what other transactions hold, in milliseconds: together with others, which it holds up, for
 * less than alone.
 */
const LOCK_MS = { together: 1_000, alone: 7_000 };

/**
 * Runs what comes at the same time with the same statement in one: to write ten rows in one transaction costs the
 * application and Postgres little more than to write one. Where Postgres refuses one of them, each is done alone.
 */
export class RowBatches {
  private readonly batchers = new Map<string, Batcher<unknown[], ResultRow | undefined>>();
  private readonly texts = new Map<string, string>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * @param values of one row of `wanted`.
   * @param manager whose transaction, if it has one, the statement belongs to: it is alone there, and writes nothing where
   * that transaction has ended meanwhile.
   * @returns the row of the result that answers it, if there is one.
   * @throws the driver's error: it is for the caller to map.
   */
  async run(statement: RowStatement, values: unknown[], manager?: EntityManager): Promise<ResultRow | undefined> {
    if (manager?.queryRunner) {
      const mark = statement.isWrite ? await this.marked(manager, manager.queryRunner) : undefined;
      return (await this.together(statement, [values], manager, mark))[0];
    }
    const { contended = 0, isWrite } = statement;
    const keys = isWrite ? { of: (row: unknown[]) => row[contended], isHeld: isHeldUp } : undefined;
    const work = (rows: unknown[][]) => this.together(statement, rows);
    const make = () => new Batcher(work, isRefusedStatement, LIMITS, keys);
    return remembered(this.batchers, statement.sql, make).add(values);
  }

  /**
   * Marks the transaction, until its end or that of its savepoint: a statement that does not find the mark came too late,
   * and writes nothing.
   */
  private async marked(manager: EntityManager, runner: QueryRunner): Promise<string> {
    const mark = markOf(runner);
    await prepared(this.dataSource, `SELECT set_config('${MARK}', $1, true)`, [mark], manager);
    if (markOf(runner) !== mark) throw endedTransaction();
    return mark;
  }

  private async together(
    { columns, sql, key, isWrite }: RowStatement,
    asked: unknown[][],
    manager?: EntityManager,
    mark?: string,
  ): Promise<(ResultRow | undefined)[]> {
    const firsts = new Map<unknown, unknown[]>();
    for (const values of asked) if (!firsts.has(values[0])) firsts.set(values[0], values);
    const rows = [...firsts.values()];
    // The host's transaction is the host's, its timeouts too.
    const isBounded = isWrite && !manager;
    const results = await prepared<ResultRow>(
      this.dataSource,
      remembered(this.texts, `${isBounded} ${mark !== undefined} ${sql}`, () =>
        textOf(columns, sql, isBounded, mark !== undefined),
      ),
      [
        ...columns.map((_, index) => rows.map((values) => values[index] ?? null)),
        rows.length,
        ...(isBounded ? [rows.length > 1 ? LOCK_MS.together : LOCK_MS.alone] : []),
        ...(mark === undefined ? [] : [mark]),
      ],
      manager,
    );
    const answers = new Map(results.map((row) => [row[key], row]));
    return asked.map((values) => (isWrite && firsts.get(values[0]) !== values ? undefined : answers.get(values[0])));
  }
}

/** @param isBounded whether it waits for a bounded time; @param isMarked whether it must find its transaction's mark. */
function textOf(columns: RowStatement['columns'], sql: string, isBounded: boolean, isMarked: boolean): string {
  const lists = columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ');
  const names = columns.map(({ name }) => name).join(', ');
  // The planner takes a tenth of what it guesses of a list: one row, so that it uses indexes also where it has planned
  // while the tables were small.
  const limit = `LIMIT $${columns.length + 1}::int`;
  const further = `$${columns.length + 2}`;
  const where = isMarked ? ` WHERE current_setting('${MARK}', true) = ${further}` : '';
  const [bound, join] = isBounded ? [`${lockBound(further)}, `, ', bound'] : ['', ''];
  return `WITH ${bound}wanted AS (SELECT wanted.* FROM unnest(${lists}) AS wanted (${names})${join}${where} ${limit})${sql}`;
}
