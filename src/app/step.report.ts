import { ConfigurationError } from '../alikassa.errors.js';

const NAME_WIDTH = 15;

/** One line for each step of a check, on standard output. */
export class StepReport {
  /** Whether a step has failed. */
  hasFault = false;

  ok(name: string, detail: string): void {
    this.print('ok', name, detail);
  }

  /** May be as it should be; a person should read it. */
  warn(name: string, detail: string): void {
    this.print('warn', name, detail);
  }

  fail(name: string, detail: string): void {
    this.hasFault = true;
    this.print('FAIL', name, detail);
  }

  /** Reports what `work` gives, or the sentence of the fault that it throws. */
  async checked<T>(name: string, work: () => T | Promise<T>, detail: (value: T) => string): Promise<T | undefined> {
    try {
      const value = await work();
      this.ok(name, detail(value));
      return value;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      this.fail(name, error.message);
      return undefined;
    }
  }

  private print(verdict: string, name: string, detail: string): void {
    console.log(`${verdict.padEnd(4)}  ${name.padEnd(NAME_WIDTH)} ${detail}`);
  }
}
