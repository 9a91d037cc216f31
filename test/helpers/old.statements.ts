import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';

interface Step {
  /** Evidence, or what else is done. */
  does: string;
  /** Index of its text. */
  text: number;
  values: unknown[];
}

interface Recorded {
  texts: string[];
  flows: Record<string, { history: string[]; steps: Step[] }>;
}

/**
 * Every statement of a released version, word for word, with the values of whole flows: they were written down as that version
 * sent them. What differs from run to run stands as `{payout}` and the like.
 */
const RECORDED = JSON.parse(readFileSync('test/vectors/statements-0.1.0.json', 'utf8')) as Recorded;
export const OLD_FLOWS = Object.keys(RECORDED.flows);

/** A process of the old version, as the database sees it. */
export class OldVersion {
  private readonly names = new Map([
    ['{payout}', randomUUID() as string],
    ['{payout order}', randomUUID()],
    ['{payout provider}', String(randomInt(1_000_000, 2 ** 31))],
  ]);

  constructor(
    private readonly client: pg.Client | pg.Pool,
    private readonly flow: string,
  ) {}

  /** For payout, order and provider that another version has named. */
  known(name: '{payout}' | '{payout order}' | '{payout provider}', value: string): this {
    this.names.set(name, value);
    return this;
  }

  get id(): string {
    return this.names.get('{payout}') ?? '';
  }

  /** What the old version's own history of the flow was. */
  get history(): string[] {
    return RECORDED.flows[this.flow]?.history ?? [];
  }

  get steps(): Step[] {
    return RECORDED.flows[this.flow]?.steps ?? [];
  }

  /**
   * Runs the statements of a step, of the first of that name.
   * @param isLate decided on the row as it was in the old version's own flow, not as it is now.
   * @returns the rows of the last of them.
   */
  async does(name: string, isLate = false): Promise<Record<string, unknown>[]> {
    const steps = this.steps.slice(this.steps.findIndex(({ does }) => does === name));
    const end = steps.findIndex(({ does }) => does !== name);
    let rows: Record<string, unknown>[] = [];
    for (const step of steps.slice(0, end < 0 ? undefined : end)) rows = await this.run(step, isLate);
    return rows;
  }

  /** Runs one statement. */
  async run({ text, values }: Step, isLate = false): Promise<Record<string, unknown>[]> {
    const sql = RECORDED.texts[text] ?? '';
    const given = values.map((value) => this.filled(value));
    if (!isLate && sql.includes('wanted.revision'))
      given[1] = [await this.one('SELECT revision FROM alikassa_payouts WHERE id = $1')];
    if (given.includes('{event}')) {
      const event = await this.one(`SELECT max(event_id) FROM alikassa_deliveries JOIN alikassa_payout_events AS event
        ON event.id = event_id WHERE payout_id = $1 AND to_status = 'paid'`);
      given.splice(0, 1, event);
    }
    return (await this.client.query<Record<string, unknown>>(sql, given)).rows;
  }

  private filled(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.filled(one));
    return typeof value === 'string' ? (this.names.get(value) ?? value) : value;
  }

  private async one(sql: string): Promise<unknown> {
    const { rows } = await this.client.query<Record<string, unknown>>(sql, [this.id]);
    return Object.values(rows[0] ?? {})[0];
  }
}
