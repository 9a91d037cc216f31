import { randomBytes } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { payload } from '../helpers/payload.js';
import { expectNoRecipient, historyOf } from '../helpers/payout.checks.js';
import { SWAP, TAMPERINGS } from '../helpers/tampering.js';
import { until } from '../helpers/until.js';

const encryptionKeys = ['old', 'new'].map((id) => ({ id, key: randomBytes(32).toString('base64') }));
const logger = new LogLines();
let host: TestApplication;

/** Accepted and changed in one transaction: the worker never sees the row as it was. */
async function tampered(
  count: number,
  tamper: (manager: EntityManager, ids: string[]) => Promise<unknown>,
): Promise<Payout[]> {
  return host.app.get(DataSource).transaction(async (manager) => {
    const made: Payout[] = [];
    while (made.length < count) made.push(await host.payouts.create(payload() as never, { manager }));
    await tamper(
      manager,
      made.map(({ id }) => id),
    );
    return made;
  });
}

/** What has become of a payout, once a person is called. */
async function outcomeOf({ id, orderId }: Payout): Promise<unknown> {
  await until(async () => (await host.payouts.find(id)).attention.length > 0);
  const { status, attention, attempt } = await host.payouts.find(id);
  return {
    state: `${status}, ${attention.join(' ')}, attempt ${attempt}`,
    history: await historyOf(host, id),
    sent: host.simulator.accepted(orderId),
    requests: host.simulator.requests,
    isLogged: logger.lines.some((line) => line.includes(id)),
  };
}
const HELD = {
  state: 'queued, recipient_unreadable, attempt 0',
  history: ['created:->queued', 'fault:queued->queued'],
  sent: 0,
  requests: [],
  isLogged: true,
};

beforeAll(async () => {
  host = await startApplication({ options: { encryptionKeys }, logger });
});
afterAll(async () => host.stop());
describe('a payout whose recipient was changed in the database is held, and nothing is sent', () => {
  it.each(TAMPERINGS)('after %s', async (_, set) => {
    const [payout] = await tampered(1, (manager, [id]) =>
      manager.query(`UPDATE alikassa_payouts SET ${set} WHERE id = $1`, [id]),
    );
    expect(await outcomeOf(payout!)).toEqual(HELD);
    expectNoRecipient(logger);
  });

  it("after two rows' recipients were swapped", async () => {
    const swapped = await tampered(2, (manager, ids) => manager.query(SWAP, ids));
    for (const payout of swapped) expect(await outcomeOf(payout)).toEqual(HELD);
    expectNoRecipient(logger);
  });
});
