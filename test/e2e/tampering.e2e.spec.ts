import { randomBytes } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { Payout } from '../../src/payouts/payout.entity.js';
import { RUB, startApplication, type TestApplication } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { decideNow } from '../helpers/people.js';
import { payload } from '../helpers/payload.js';
import { expectNoRecipient, historyOf } from '../helpers/payout.checks.js';
import { FORGERIES, SWAP, swapOf, TAMPERINGS } from '../helpers/tampering.js';
import { until } from '../helpers/until.js';

const encryptionKeys = ['old', 'new'].map((id) => ({ id, key: randomBytes(32).toString('base64') }));
const OTHER = '6f1f7f0e-2f0b-4a52-9d0c-0d6cb3a1b0aa';
const logger = new LogLines();
let host: TestApplication;

/** Accepted and changed in one transaction: the worker never sees the row as it was. */
async function tampered(
  count: number,
  tamper: (manager: EntityManager, ids: string[]) => Promise<unknown>,
): Promise<Payout[]> {
  return host.app.get(DataSource).transaction(async (manager) => {
    const made: Payout[] = [];
    while (made.length < count) {
      const differing = { account: RUB, amount: `${count}.0${made.length}`, number: `790055544${55 + made.length}` };
      made.push(await host.payouts.create(payload(differing) as never, { manager }));
    }
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
  const accounts = [RUB, OTHER].map((uuid) => ({ uuid, currency: 'RUB' }));
  host = await startApplication({ options: { encryptionKeys, accounts }, logger });
  // What the database refuses, and who may write, is another matter: here somebody has got past both.
  await host.database.pool.query(`
    ALTER TABLE alikassa_payouts DISABLE TRIGGER USER;
    GRANT UPDATE ON alikassa_payouts TO PUBLIC`);
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

  it.each(['recipient_ciphertext', 'number_fingerprint', 'content_fingerprint'])(
    'after the %s of two rows was swapped',
    async (column) => {
      const swapped = await tampered(2, (manager, ids) => manager.query(swapOf(column), ids));
      for (const payout of swapped) expect(await outcomeOf(payout)).toEqual(HELD);
      expectNoRecipient(logger);
    },
  );
});

describe('a payout whose row was changed is held, nothing is sent, and the log says what does not fit', () => {
  it.each(FORGERIES)('%s: %s', async (what, set) => {
    const [payout] = await tampered(1, (manager, [id]) =>
      manager.query(`UPDATE alikassa_payouts SET ${set} WHERE id = $1`, set.includes('$2') ? [id, OTHER] : [id]),
    );
    expect(await outcomeOf(payout!)).toEqual(HELD);
    const line = logger.lines.find((one) => one.includes(payout!.id)) ?? '';
    expect(line).toMatch(new RegExp(`its .*${what}.* was changed`));
    expectNoRecipient(logger);
  });

  it('is sent once it has been restored and a person has looked', async () => {
    const [payout] = await tampered(1, (manager, [id]) =>
      manager.query('UPDATE alikassa_payouts SET amount = amount + 100 WHERE id = $1', [id]),
    );
    expect(await outcomeOf(payout!)).toEqual(HELD);
    await host.database.pool.query('UPDATE alikassa_payouts SET amount = amount - 100 WHERE id = $1', [payout!.id]);
    await decideNow(host.payouts, payout!.id, { outcome: 'resubmit', reason: 'restored from the backup' });
    await host.until(payout!.id, 'paid');
    expect(host.simulator.accepted(payout!.orderId)).toBe(1);
  });
});
