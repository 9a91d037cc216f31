/** One payout as the table shows it. */
export interface DemoRow {
  title: string;
  amount: string;
  /** Masked. */
  number: string;
  /** The statuses that it has been in, oldest first. */
  way: string[];
  /** Seconds from its first status to its last. */
  seconds: number;
}

/** The part of standard output that is used here. */
export interface Terminal {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const HEAD = ['payout', 'amount', 'recipient', 'way', 'time'] as const;

/** Shows the payouts' ways live: a terminal is drawn over, anything else gets one line for each change. */
export class DemoTable {
  private readonly shown = new Map<string, number>();
  private drawnLines = 0;
  private last = '';

  constructor(
    private readonly terminal: Terminal,
    private readonly startedAt = Date.now(),
  ) {}

  update(rows: readonly DemoRow[]): void {
    const lines = tableLines(rows);
    if (!this.terminal.isTTY) {
      this.writeChanges(rows);
    } else if (fits(lines, this.terminal.columns)) {
      const text = lines.join('\n');
      if (text === this.last) return;
      this.terminal.write(`${this.drawnLines > 0 ? `\x1b[${this.drawnLines}A\x1b[0J` : ''}${text}\n`);
      this.drawnLines = lines.length;
      this.last = text;
    } else {
      // A line that wraps cannot be drawn over.
      this.writeChanges(rows);
    }
  }

  /** The whole table once more, unless it stands there already. */
  finish(rows: readonly DemoRow[]): void {
    this.update(rows);
    if (this.drawnLines === 0) this.terminal.write(`\n${tableLines(rows).join('\n')}\n`);
  }

  private writeChanges(rows: readonly DemoRow[]): void {
    for (const { title, way } of rows) {
      for (let at = this.shown.get(title) ?? 0; at < way.length; at += 1) {
        const seconds = ((Date.now() - this.startedAt) / 1000).toFixed(1).padStart(5);
        const change = at === 0 ? `${way[at]}` : `${way[at - 1]} -> ${way[at]}`;
        this.terminal.write(`${seconds}s  ${title.padEnd(22)} ${change}\n`);
      }
      this.shown.set(title, way.length);
    }
  }
}

export function tableLines(rows: readonly DemoRow[]): string[] {
  const cells = rows.map(({ title, amount, number, way, seconds }) => [
    title,
    amount,
    number,
    way.join(' -> '),
    `${seconds.toFixed(1)}s`,
  ]);
  const widths = HEAD.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(HEAD), widths.map((width) => '-'.repeat(width)).join('  '), ...cells.map(line)];
}

function fits(lines: readonly string[], columns = 80): boolean {
  return lines.every((line) => line.length < columns);
}
