import type { MigrationInterface, QueryRunner } from 'typeorm';

type MigrationClass = new () => MigrationInterface;

/**
 * The migration in the schema, and with the prefix, that the host's DataSource names by `schema` and `entityPrefix`. Its
 * name stays; without either option so does its SQL. The schema must exist.
 */
export function placed(Migration: MigrationClass): MigrationClass {
  const Placed = class extends Migration {
    override async up(queryRunner: QueryRunner): Promise<void> {
      await inSchema(queryRunner, () => super.up(prefixing(queryRunner)));
    }

    override async down(queryRunner: QueryRunner): Promise<void> {
      await inSchema(queryRunner, () => super.down(prefixing(queryRunner)));
    }
  };
  return Object.defineProperty(Placed, 'name', { value: Migration.name });
}

/** By the search path, which holds for indexes, triggers and functions too; it is set back afterwards. */
async function inSchema(queryRunner: QueryRunner, work: () => Promise<void>): Promise<void> {
  const { options } = queryRunner.connection;
  if (options.type !== 'postgres' || !options.schema) return work();
  const [before] = await queryRunner.manager.query<{ path: string }[]>("SELECT current_setting('search_path') AS path");
  const setPath = (path: string | undefined): Promise<unknown> =>
    queryRunner.query("SELECT set_config('search_path', $1, false)", [path]);
  await setPath(quoted(options.schema));
  try {
    await work();
  } catch (error) {
    // A transaction that has failed takes its search path back by itself, and no further statement.
    if (!queryRunner.isTransactionActive) await setPath(before?.path);
    throw error;
  }
  await setPath(before?.path);
}

/** Every name of ours begins alike: tables, constraints, indexes, triggers, functions. */
function prefixing(queryRunner: QueryRunner): QueryRunner {
  const { entityPrefix } = queryRunner.connection.options;
  if (!entityPrefix) return queryRunner;
  return new Proxy(queryRunner, {
    get: (target, key) =>
      key === 'query'
        ? (sql: string, params?: unknown[]) =>
            target.query(
              sql.replace(/\balikassa_\w+/g, (name) => quoted(entityPrefix + name)),
              params,
            )
        : (Reflect.get(target, key) as unknown),
  });
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
