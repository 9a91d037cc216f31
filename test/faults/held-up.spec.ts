import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { certificate } from '../helpers/certificate.js';
import { CrashedPayout } from '../helpers/crash.js';
import { closedGate } from '../helpers/gate.js';
import type { HostProcess } from '../helpers/host.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

let payout: CrashedPayout;
let relay: net.Server | undefined;
afterEach(async () => {
  await payout.end();
  relay?.close();
  relay = undefined;
});

type Place = 'the request ends' | 'the request gets its socket' | 'the socket is written to' | 'the socket is uncorked';
type Clock = 'as it is' | 'monotonic stands still' | 'wall is set back';

/** A process that stops itself on the way of its first request to the provider. */
async function startStopping(at: Place, clock: Clock, baseUrl = payout.surroundings.simulator.url): Promise<void> {
  const port = Number(new URL(baseUrl).port);
  await payout.start(
    { baseUrl },
    {
      NODE_OPTIONS: `--import ${resolve('test/helpers/stops.itself.mjs')}`,
      ALIKASSA_TEST_STOP: JSON.stringify({ at, port, clock }),
    },
  );
}
const untilStopped = async ({ pid }: HostProcess): Promise<void> =>
  until(() => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
const sent = (): number => submissionsOf(payout.surroundings.simulator, 'crash');
const reasons = async (): Promise<unknown[]> => {
  const sql = "SELECT detail->>'reason' AS reason FROM alikassa_payout_events WHERE type = 'submission' ORDER BY id";
  const { rows } = await payout.surroundings.database.pool.query<{ reason: unknown }>(sql);
  return rows.map(({ reason }) => reason);
};

it.each<[Place, Clock]>([
  ['the request ends', 'as it is'],
  ['the request gets its socket', 'monotonic stands still'],
  ['the socket is written to', 'wall is set back'],
  ['the socket is uncorked', 'as it is'],
  ['the socket is uncorked', 'monotonic stands still'],
])(
  '123: stopped between claim and first byte, and a person has decided -> nothing leaves (%s; clock: %s)',
  async (at, clock) => {
    payout = await CrashedPayout.prepare();
    await startStopping(at, clock);
    await payout.create();
    const stopped = payout.detach();
    await untilStopped(stopped);
    expect((await payout.row()).status).toBe('sending');
    await payout.start();
    await until(async () => (await payout.row()).attention.includes('not_found'));
    await payout.resolve('fail');
    await stopped.kill('SIGCONT');
    await stopped.kill('SIGTERM');
    expect([sent(), (await payout.row()).status]).toEqual([0, 'fail']);
    expect(stopped.output()).toMatch(/held up past its lease and was not sent/);
  },
);

it('stopped for longer than a call has left, the lease not over yet: settled as never sent, and sent anew', async () => {
  payout = await CrashedPayout.prepare({ timeoutMs: 19_500, leaseMs: 20_000 });
  await startStopping('the socket is uncorked', 'as it is');
  await payout.create();
  const stopped = payout.detach();
  await untilStopped(stopped);
  const sql =
    "SELECT FROM alikassa_payout_events WHERE type = 'claimed' AND clock_timestamp() > created_at + interval '600 ms'";
  await until(async () => (await payout.surroundings.database.pool.query(sql)).rowCount === 1);
  await stopped.kill('SIGCONT');
  await payout.untilStatus('paid');
  expect([sent(), (await reasons())[0]]).toEqual([1, 'lease_over']);
  expect((await payout.history()).slice(0, 5)).toEqual([
    'created: queued',
    'claimed: sending',
    'submission: queued',
    'claimed: sending',
    'submission: wait',
  ]);
  await stopped.kill('SIGTERM');
});

/** Stands between the application and the provider, so that a connection can be ended from the provider's side. */
async function startRelay(): Promise<{ url: string; reset: () => void }> {
  const { url } = payout.surroundings.simulator;
  const sockets = new Set<net.Socket>();
  relay = net.createServer((client) => {
    const provider = net.connect(Number(new URL(url).port), '127.0.0.1');
    for (const socket of [client, provider]) sockets.add(socket.on('error', () => undefined));
    client.pipe(provider).pipe(client);
  });
  await new Promise<void>((done) => relay?.listen(0, '127.0.0.1', done));
  const { protocol } = new URL(url);
  return {
    url: `${protocol}//127.0.0.1:${(relay.address() as AddressInfo).port}`,
    reset: () => sockets.forEach((socket) => socket.resetAndDestroy()),
  };
}

it('the peer ends the open connection while the claim is written: settled as never sent, and sent anew', async () => {
  payout = await CrashedPayout.prepare({ timeoutMs: 3_000, leaseMs: 33_000 });
  const claim = "TRIGGER wait_here BEFORE UPDATE ON alikassa_payouts FOR EACH ROW WHEN (NEW.status = 'sending')";
  const gate = await closedGate(payout.surroundings.database, claim);
  const { url, reset } = await startRelay();
  await payout.start({ baseUrl: url });
  await payout.create();
  await gate.reached();
  reset();
  await gate.open();
  await payout.untilStatus('paid');
  expect([sent(), (await reasons())[0]]).toEqual([1, 'closed_by_peer']);
  await payout.kill('SIGTERM');
});

it.each([
  ['23: RST right after the handshake, when the request is being written -> unknown', true],
  ['36: EPIPE while writing -> unknown', false],
])('%s', async (_, isTls) => {
  const tls = certificate();
  const options = { timeoutMs: 3_000, leaseMs: 33_000 };
  payout = isTls
    ? await CrashedPayout.prepare({ ...options, ca: tls.cert }, { tls })
    : await CrashedPayout.prepare(options);
  const { url, reset } = await startRelay();
  await startStopping('the socket is uncorked', 'as it is', url);
  await payout.create();
  const stopped = payout.detach();
  await untilStopped(stopped);
  reset();
  await stopped.kill('SIGCONT');
  await until(async () => (await payout.row()).attention.includes('not_found'));
  expect(await payout.row()).toMatchObject({ status: 'unknown', possibly_sent: true });
  expect([sent(), await reasons()]).toEqual([0, [expect.stringMatching(/^(?:EPIPE|ECONNRESET)$/)]]);
  await stopped.kill('SIGTERM');
});
