/** Between two lines of one kind. */
const QUIET_MS = 10_000;

/** Logs what may come very often: the first line of a kind at once, the others as one line per 10 s, with their number. */
export class CalmLog {
  private readonly kinds = new Map<string, { count: number; line: string }>();

  constructor(private readonly write: (line: string) => void) {}

  /** @param kind of which there are few. */
  say(kind: string, line: string): void {
    const known = this.kinds.get(kind);
    if (known) {
      known.count += 1;
      known.line = line;
      return;
    }
    this.write(line);
    this.rest(kind);
  }

  private rest(kind: string): void {
    const since = { count: 0, line: '' };
    this.kinds.set(kind, since);
    setTimeout(() => {
      this.kinds.delete(kind);
      if (since.count === 0) return;
      this.write(since.count === 1 ? since.line : `${since.line} (${since.count} times in ${QUIET_MS / 1000} s)`);
      this.rest(kind);
    }, QUIET_MS).unref();
  }
}
