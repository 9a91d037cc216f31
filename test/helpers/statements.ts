import type { Logger } from 'typeorm';

/** Every statement that the application's own DataSource sends. */
export class Statements implements Logger {
  readonly sent: string[] = [];

  logQuery(statement: string): void {
    this.sent.push(statement);
  }

  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}
