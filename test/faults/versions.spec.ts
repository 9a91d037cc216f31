import pg from 'pg';
import type { Evidence } from '../../src/payouts/payout.evidence.js';
import { OLD_FLOWS, OldVersion } from '../helpers/old.statements.js';
import { accepted, NONE, startStore, TOKEN, withdrawal, type TestStore } from '../helpers/store.js';
import { unprotected } from '../helpers/unprotected.js';

/** Steps whose statements return no row, or find nothing to do. */
const IDLE = [
  'begun',
  'call done',
  'call renewed',
  'calls requeued',
  'expiredLeases',
  'inbox',
  'inbox again',
  'lifted',
];
IDLE.push('probed', 'requeueOverdue', 'rotated', 'scheduleChecks');

let test: TestStore;
/** As the application's role. */
let client: pg.Client;

beforeAll(async () => {
  test = await startStore({}, true);
  client = new pg.Client({ connectionString: test.database.url, application_name: 'test' });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await test.stop();
});

const history = async (id: string): Promise<string[]> =>
  (await test.events(id)).map((event) => {
    const { type, from_status: from, to_status: to } = event as unknown as Record<string, string | null>;
    return `${type}:${from ?? ''}->${to}`;
  });
const status = async (id: string): Promise<unknown> => (await test.row(id))['status'];
const old = (flow: string): OldVersion => new OldVersion(client, flow);
/** A payout of the new version, as the old one comes to know it. */
async function taken(flow: string): Promise<OldVersion> {
  const id = await test.add();
  return old(flow)
    .known('{payout}', id)
    .known('{payout order}', String((await test.row(id))['order_id']));
}

it("134: the old version's statements on the new tables, and the new ones beside them -> work, in both directions", async () => {
  const versions = OLD_FLOWS.map((flow) => old(flow));
  const idle = new Set<string>();
  for (const version of versions) {
    for (const step of version.steps) {
      // Its time has come by then.
      const older = "UPDATE alikassa_payouts SET settled_at = now() - interval '2 days' WHERE id = $1";
      if (step.does === 'erased') await unprotected(test.database.pool, older, [version.id]);
      if ((await version.run(step)).length === 0) idle.add(step.does);
    }
  }
  expect([...idle].toSorted()).toEqual(IDLE);
  const told = versions.filter((version) => version.history.length > 0);
  expect(await Promise.all(told.map(({ id }) => history(id)))).toEqual(told.map((version) => version.history));

  // An old process accepts, a new one sends, an old one is notified.
  const first = old('paid by a notification').known('{payout provider}', '7');
  await first.does('created');
  await test.store.claim(first.id, TOKEN);
  await test.store.settle(first.id, accepted);
  expect(await first.does('notification paid')).toMatchObject([{ status: 'paid' }]);

  // A new one accepts, an old one claims and sends, a new one is notified.
  const second = (await taken('paid by a notification')).known('{payout provider}', '8');
  expect(await second.does('claimed')).toMatchObject([{ status: 'sending', attempt: 1 }]);
  expect(await second.does('submission ok')).toMatchObject([{ status: 'wait', providerId: '8' }]);
  await test.store.settle(second.id, await test.paid(second.id, { id: '8' }));
  expect(await status(second.id)).toBe('paid');

  // Both want it: who comes second changes nothing.
  const third = (await taken('paid by a notification')).known('{payout provider}', '9');
  await third.does('claimed');
  await expect(test.store.claim(third.id, NONE)).rejects.toThrow('sending');
  const { revision } = (await test.store.read(third.id)).payout;
  const late = { ...withdrawal, revision } as Evidence;
  await expect(test.store.settle(third.id, late)).rejects.toThrow('sending');
  await test.store.settle(third.id, await test.paid(third.id, { id: '9' }));
  expect(await third.does('submission ok', true)).toEqual([]);
  expect(await status(third.id)).toBe('paid');

  // The old one's sweep finds the new one's attempt, and a person ends what it made of that.
  const fourth = await taken('lease lost, sent again by a person');
  await test.store.claim(fourth.id, TOKEN);
  expect(await fourth.does('lease_expired')).toMatchObject([{ status: 'unknown', possiblySent: true }]);
  expect(await fourth.does('person resubmit')).not.toHaveLength(0);
  await test.store.claim(fourth.id, TOKEN);
  expect(await history(fourth.id)).toEqual([
    'created:->queued',
    'claimed:queued->sending',
    'lease_expired:sending->unknown',
    'person:unknown->queued',
    'claimed:queued->sending',
  ]);
});
