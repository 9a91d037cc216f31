import net, { type AddressInfo } from 'node:net';
import { CrashedPayout } from '../helpers/crash.js';
import { closedGate } from '../helpers/gate.js';
import { until } from '../helpers/until.js';

let payout: CrashedPayout;
beforeEach(async () => (payout = await CrashedPayout.prepare()));
afterEach(async () => payout.end());

it("1: killed before the create commits -> no row; the client's repeat makes exactly one", async () => {
  const gate = await closedGate(
    payout.surroundings.database,
    'TRIGGER wait_here BEFORE INSERT ON alikassa_payouts FOR EACH ROW',
  );
  await payout.start();
  const answer = payout.create();
  await gate.reached();
  await payout.kill();
  await gate.terminate();
  expect([await answer, await payout.rows()]).toEqual([0, []]);
  await gate.open();
  await payout.start();
  expect([await payout.create(), await payout.create()]).toEqual([201, 200]);
  await payout.untilStatus('paid');
  expect([(await payout.rows()).length, payout.accepted]).toEqual([1, 1]);
});

it('2: killed after the create was committed, before the job starts -> sent once after restart', async () => {
  // The worker has fetched the job, so it stays locked by the dead; the payout itself is not taken yet.
  const gate = await closedGate(
    payout.surroundings.database,
    "TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = 'sending')",
  );
  await payout.start();
  expect(await payout.create()).toBe(201);
  await gate.reached();
  await payout.kill();
  await gate.terminate();
  await gate.open();
  // Half a minute passes: more than a task takes to get here, far less than the lease that ends all doubts.
  const { rowCount } = await payout.surroundings.database.pool.query(
    `UPDATE alikassa_worker._private_jobs SET locked_at = locked_at - interval '30 s'
     WHERE key ~ 'alikassa_submit' AND locked_at IS NOT NULL`,
  );
  expect([rowCount, (await payout.row()).status]).toEqual([1, 'queued']);
  await payout.start({ leaseMs: 3_600_000 });
  await payout.untilStatus('paid');
  expect(payout.accepted).toBe(1);
  expect(await payout.history()).toEqual(expect.not.arrayContaining(['lease_expired: unknown']));
});

it('3: killed after `sending` was committed, before the socket opens -> unknown, then the true state', async () => {
  await payout.start();
  await payout.stopBeforeSending();
  await payout.kill();
  expect(payout.surroundings.simulator.requests).toEqual([]);
  await payout.expectHeldForAPerson();
});

it.each([
  ['4: killed when TCP is connected -> not claimed yet, sent once after restart', Buffer.alloc(0)],
  // The head of a server's handshake record, and nothing of what it announces.
  [
    '5: killed in the TLS handshake -> not claimed yet, sent once after restart',
    Buffer.from('160303007a0200007603', 'hex'),
  ],
])('%s', async (_name, firstBytes) => {
  const sockets = new Set<net.Socket>();
  let isReached = false;
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    // The client's hello shows that it is connected; what is written back shows it where the handshake is.
    socket.once('data', () => socket.write(firstBytes, () => (isReached = true)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await payout.start({ baseUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}` });
  await payout.create();
  await until(() => isReached);
  expect((await payout.row()).status).toBe('queued');
  await payout.kill();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await payout.start();
  await payout.untilStatus('paid');
  expect([payout.accepted, await payout.history()]).toEqual([
    1,
    ['created: queued', 'claimed: sending', 'submission: wait', expect.stringMatching(/: paid$/) as string],
  ]);
});
