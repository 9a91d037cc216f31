import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import type { ConnectionFault } from '../../src/testing/index.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { certificate } from '../helpers/certificate.js';
import { startHostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { decideNow, withdrawNow } from '../helpers/people.js';
import { until } from '../helpers/until.js';

const tls = certificate();
let surroundings: TestSurroundings;
/** Sends nothing. */
let taker: TestApplication;
beforeAll(async () => {
  surroundings = await prepare({ simulator: { tls }, options: { timeoutMs: 900, ca: tls.cert } });
  taker = await startApplication({ surroundings, options: { worker: { enabled: false } } });
});
// Out of the way of the next test; between two attempts a payout can be taken back.
afterEach(async () => {
  const sql = "SELECT id FROM alikassa_payouts WHERE status IN ('queued', 'sending') AND NOT possibly_sent";
  await until(async () => {
    const { rows } = await surroundings.database.pool.query<{ id: string }>(sql);
    await Promise.all(rows.map(({ id }) => withdrawNow(taker.payouts, id).catch(() => undefined)));
    return rows.length === 0;
  });
});
afterAll(async () => {
  await taker.stop();
  await surroundings.stop();
});

const rowsOf = async (orderId: string): Promise<Record<string, unknown>[]> => {
  const sql = `SELECT status, attempt, possibly_sent, unsent_count, due_at > updated_at AS is_later
    FROM alikassa_payouts WHERE order_id = $1`;
  return (await surroundings.database.pool.query<Record<string, unknown>>(sql, [orderId])).rows;
};
const submissionsOf = async (orderId: string): Promise<Record<string, unknown>[]> => {
  const sql = `SELECT to_status, detail->>'outcome' AS outcome, detail->>'phase' AS phase, detail->>'reason' AS reason
    FROM alikassa_payout_events JOIN alikassa_payouts p ON p.id = payout_id WHERE order_id = $1 AND type = 'submission'
    ORDER BY alikassa_payout_events.id`;
  return (await surroundings.database.pool.query<Record<string, unknown>>(sql, [orderId])).rows;
};
/** The payout was proven never sent the first time, and waits for the next one. */
async function expectNeverSent(orderId: string, phase: RegExp, reason: RegExp): Promise<void> {
  await until(async () => (await submissionsOf(orderId)).length > 0);
  const [first] = await submissionsOf(orderId);
  expect(first).toEqual({
    to_status: 'queued',
    outcome: 'never_sent',
    phase: expect.stringMatching(phase) as string,
    reason: expect.stringMatching(reason) as string,
  });
  const [row] = await rowsOf(orderId);
  // Nothing was claimed, and it is tried again later.
  expect(row).toMatchObject({ status: 'queued', attempt: 0, possibly_sent: false, is_later: true });
  expect(row?.['unsent_count']).toBeGreaterThan(0);
  expect(surroundings.simulator.accepted(orderId)).toBe(0);
}

/** An application that finds the provider where the test says. */
async function withApplication(
  options: Partial<AliKassaOptions>,
  work: (host: TestApplication) => Promise<void>,
): Promise<void> {
  const host = await startApplication({ surroundings, options });
  try {
    await work(host);
  } finally {
    await host.stop();
  }
}
const create = async (host: TestApplication, order_id: string): Promise<string> =>
  ((await host.http().post('/alikassa/payouts').send(payload({ order_id }))).body as PayoutDto).id;
async function neverSentTo(baseUrl: string, orderId: string, phase: RegExp, reason: RegExp): Promise<void> {
  await withApplication({ baseUrl }, async (host) => {
    await create(host, orderId);
    await expectNeverSent(orderId, phase, reason);
  });
}

it('12: DNS name missing -> queued', async () => {
  await neverSentTo('https://no-such-host.invalid', '12', /^none$/, /^(?:ENOTFOUND|EAI_AGAIN)$/);
});

it('13: DNS fails for a time -> queued', async () => {
  // In a mount namespace of its own the process asks a name server that is not there: the real resolver, EAI_AGAIN.
  const folder = mkdtempSync(join(tmpdir(), 'alikassa-dns-'));
  writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  const wrapper = join(folder, 'without-dns');
  const inside = `mount --bind ${folder}/resolv.conf /etc/resolv.conf && exec "$@"`;
  writeFileSync(wrapper, `#!/bin/sh\nexec unshare -rm sh -c '${inside}' sh "${process.execPath}" "$@"\n`);
  chmodSync(wrapper, 0o755);
  const options = { ...surroundings.options, baseUrl: 'https://provider.example', timeoutMs: 4_000, leaseMs: 6_000 };
  const host = await startHostProcess({
    databaseUrl: surroundings.database.url,
    port: await freePort(),
    options,
    wrapper,
  });
  const headers = { 'content-type': 'application/json' };
  await fetch(`${host.url}/alikassa/payouts`, {
    method: 'POST',
    headers,
    body: JSON.stringify(payload({ order_id: '13' })),
  });
  await expectNeverSent('13', /^none$/, /^EAI_AGAIN$/);
  await host.kill('SIGTERM');
  rmSync(folder, { recursive: true });
});

it('14: connection refused -> queued', async () => {
  await neverSentTo(`https://127.0.0.1:${await freePort()}`, '14', /^none$/, /^ECONNREFUSED$/);
});

it('15: unreachable -> queued', async () => {
  await neverSentTo('https://255.255.255.255', '15', /^none$/, /^E(?:NETUNREACH|HOSTUNREACH|ACCES)$/);
});

it('16: connect timeout -> queued', async () => {
  // The server is stopped and its backlog is full: the kernel answers no further connection.
  const port = await freePort();
  const script = `require('node:net').createServer().listen({ port: ${port}, host: '127.0.0.1', backlog: 1 }, () => console.log('up'))`;
  const server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout.once('data', resolve));
  server.kill('SIGSTOP');
  const fillers = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined));
  await until(() => fillers.some((socket) => socket.readyState === 'open'));
  await neverSentTo(`https://127.0.0.1:${port}`, '16', /^none$/, /^deadline$/);
  for (const socket of fillers) socket.destroy();
  server.kill('SIGKILL');
});

describe('in the handshake', () => {
  let host: TestApplication;
  beforeAll(async () => (host = await startApplication({ surroundings, port: surroundings.port })));
  afterAll(async () => host.stop());

  it.each<[string, Omit<ConnectionFault, 'on'>[], RegExp]>([
    ['17: handshake stalls -> queued', [{ end: 'stall' }], /^deadline$/],
    ['18: reset or FIN in the handshake -> queued', [{ end: 'reset' }, { end: 'close' }], /^ECONNRESET$/],
    [
      '19: bad certificate (expired, wrong name, self-signed) -> queued',
      [
        { certificate: certificate('IP:127.0.0.1', -1) },
        { certificate: certificate('DNS:other.example') },
        { certificate: certificate() },
      ],
      /^(?:CERT_HAS_EXPIRED|DEPTH_ZERO_SELF_SIGNED_CERT|ERR_TLS_CERT_ALTNAME_INVALID)$/,
    ],
  ])('%s', async (name, faults, reason) => {
    for (const [index, fault] of faults.entries()) {
      const orderId = `${name.slice(0, 2)}-${index}`;
      surroundings.simulator.script({ on: 'connection', ...fault });
      const id = await create(host, orderId);
      // A reset may come before the connection is noticed.
      await expectNeverSent(orderId, /^(?:connected|none)$/, reason);
      // What never left is sent once the fault is over.
      await host.until(id, 'paid');
      expect([surroundings.simulator.accepted(orderId), (await submissionsOf(orderId)).length]).toEqual([1, 2]);
    }
  });

  it('each bad certificate is refused for what it is, the trusted ones too', async () => {
    // Trusted as authorities here, so that only date and name are wrong.
    const [expired, elsewhere] = [certificate('IP:127.0.0.1', -1), certificate('DNS:other.example')];
    const ca = tls.cert + expired.cert + elsewhere.cert;
    await withApplication({ ca }, async (trusting) => {
      // The other application must not take these jobs.
      await host.stop();
      surroundings.simulator.script({ on: 'connection', certificate: expired });
      await create(trusting, 'expired');
      await expectNeverSent('expired', /^connected$/, /^CERT_HAS_EXPIRED$/);
      surroundings.simulator.script({ on: 'connection', certificate: elsewhere });
      await create(trusting, 'elsewhere');
      await expectNeverSent('elsewhere', /^connected$/, /^ERR_TLS_CERT_ALTNAME_INVALID$/);
    });
    host = await startApplication({ surroundings, port: surroundings.port });
  });

  it('after an attempt that may have been sent it proves nothing: unknown', async () => {
    const { simulator } = surroundings;
    simulator.script({ on: 'payout', drop: 'before' });
    const id = await create(host, 'maybe-first');
    await host.until(id, 'unknown');
    // The person's resubmission meets the fault, however many status calls come before it.
    await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
    await host.stop();
    const port = await freePort();
    host = await startApplication({
      surroundings,
      port: surroundings.port,
      options: { baseUrl: `https://127.0.0.1:${port}` },
    });
    await decideNow(host.payouts, id, { outcome: 'resubmit', reason: 'support: never arrived', unasked: true });
    await until(async () => (await submissionsOf('maybe-first')).length === 2);
    expect((await submissionsOf('maybe-first'))[1]).toMatchObject({ to_status: 'unknown', outcome: 'never_sent' });
    expect((await rowsOf('maybe-first'))[0]).toMatchObject({ status: 'unknown', possibly_sent: true });
  });
});
