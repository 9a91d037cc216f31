import type { Response } from 'supertest';
import type { PayoutDto, PayoutEventDto } from '../../src/payouts/payout.dto.js';
import type { TestApplication } from './application.js';
import { eventually } from './until.js';
import type { LogLines } from './log.lines.js';
import { payload } from './payload.js';

/** A payout as it was answered, and the order it stands for. */
export interface Accepted {
  id: string;
  orderId: string;
}

/** Creates a payout as a client does: repeats after 503. @throws Error unless it is then answered with this status. */
export async function create(
  host: Pick<TestApplication, 'http'>,
  body: Record<string, unknown>,
  status = 201,
): Promise<Accepted> {
  const response = await eventually('create is not answered with 503', async () => {
    const answer = await host.http().post('/alikassa/payouts').send(body);
    return answer.status !== 503 && answer;
  });
  if (response.status !== status) throw new Error(`${response.status} instead of ${status}: ${response.text}`);
  const { id, order_id } = response.body as PayoutDto;
  return { id, orderId: order_id };
}

/** The payout's history as `type:from->to`. */
export async function historyOf(host: Pick<TestApplication, 'http'>, id: string): Promise<string[]> {
  const { body } = (await host.http().get(`/alikassa/payouts/${id}/events`)) as { body: { data: PayoutEventDto[] } };
  return body.data.map(({ type, from_status, to_status }) => `${type}:${from_status ?? ''}->${to_status}`);
}

/** Asserts the answer to a caller whose call the database did not take: what to do, and nothing that is stored. */
export function expectUnavailable(response: Response, body: Record<string, unknown>): void {
  expect([response.status, response.body]).toEqual([
    503,
    {
      statusCode: 503,
      error: 'Service Unavailable',
      code: 'database_unavailable',
      message: expect.stringMatching(/^The database did not complete the statement \([^)]+\); repeat the call/),
    },
  ]);
  expect(response.text).not.toMatch(/alikassa_payouts|INSERT|SELECT|UPDATE|\$\d|postgres:/);
  expect(response.text).not.toContain(body['number']);
  expect(response.text).not.toContain(body['order_id']);
}

/** Asserts that no line holds the number that `payload()` pays to. */
export function expectNoRecipient({ lines }: LogLines): void {
  expect(lines.join('\n')).not.toContain(payload()['number']);
}

/** Held until it is let go: for the simulator's `hold`. */
export function latch(): { held: Promise<void>; letGo: () => void } {
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  return { held, letGo };
}
