import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Adds jobs by the engine's own `add_jobs`. That looks for running jobs of the same key first, by a plan that its session
 * keeps: made while there were few jobs, it reads every one of them for each that is added, so that a backlog of 20,000
 * makes each create take 6 ms more of Postgres. Within this function plans are made for the index.
 */
export class AddJobsByIndex1764700000000 implements MigrationInterface {
  readonly name = 'AddJobsByIndex1764700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    // The engine's schema is an option of the module, and its type of a job is in it.
    await queryRunner.query(`
      CREATE OR REPLACE FUNCTION alikassa_add_jobs(engine text, jobs anyarray) RETURNS integer LANGUAGE plpgsql
      SET search_path = pg_catalog SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
      DECLARE
        added integer;
      BEGIN
        EXECUTE format('SELECT count(*)::int FROM %I.add_jobs($1)', engine) INTO added USING jobs;
        RETURN added;
      END $$`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION alikassa_add_jobs');
  }
}
