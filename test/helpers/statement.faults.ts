import type { Logger } from 'typeorm';

/** The SQLSTATEs that the application's statements failed with, as its own DataSource has seen them. */
export class StatementFaults implements Logger {
  readonly states: string[] = [];

  logQueryError(error: string | Error): void {
    this.states.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
  }

  logQuery(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}
