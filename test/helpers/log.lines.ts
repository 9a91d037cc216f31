import type { LoggerService } from '@nestjs/common';

/** Everything that Nest is told to log, at every level. */
export class LogLines implements LoggerService {
  readonly lines: string[] = [];
  private readonly keep = (...parts: unknown[]): void => {
    this.lines.push(parts.map((part) => (part instanceof Error ? (part.stack ?? '') : JSON.stringify(part))).join(' '));
  };
  log = this.keep;
  error = this.keep;
  warn = this.keep;
  debug = this.keep;
  verbose = this.keep;
  fatal = this.keep;
}
