import { execFile } from 'node:child_process';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureVersion } from 'node:tls';
import { promisify } from 'node:util';
import { generateTestKeys, type TestKeys } from '../../src/testing/index.js';
import { certificate, type Certificate } from '../helpers/certificate.js';

interface Report {
  /** A request that leaves TLS to the process. */
  control: { status?: number; protocol?: string; code?: string };
  /** The client's. */
  outcome: { kind: string; reason: string };
}

const servers: https.Server[] = [];
let keys: TestKeys;
let requests = 0;

beforeAll(async () => {
  keys = await generateTestKeys();
});
beforeEach(() => (requests = 0));
afterAll(() => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))));

/** A provider that answers a balance call; of one version of TLS, where it is given. */
async function serving(tls: Certificate, version?: SecureVersion): Promise<string> {
  const only = version ? { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } : {};
  const server = https.createServer({ ...tls, ...only }, (_, response) => {
    requests += 1;
    response.end('{"currency":"RUB","balance":"1.00"}');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Asks from a process that does not verify, and that accepts whatever OpenSSL can still speak. */
async function askLaxly(baseUrl: string, ca?: string): Promise<Report> {
  const { payout, notification } = keys;
  const settings = {
    baseUrl,
    ca,
    keys: {
      privateKey: payout.privateKey,
      passphrase: payout.passphrase,
      notificationPublicKey: notification.publicKey,
    },
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--tls-min-v1.0', '--tls-cipher-list=DEFAULT@SECLEVEL=0', 'test/helpers/tls.client.mjs'],
    {
      env: {
        PATH: process.env.PATH,
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
        NODE_NO_WARNINGS: '1',
        ALIKASSA_TEST_TLS: JSON.stringify(settings),
      },
    },
  );
  return JSON.parse(stdout) as Report;
}

describe('in a process that has switched verification off', () => {
  it('a self-signed certificate is refused all the same, before a byte of the request leaves', async () => {
    const { control, outcome } = await askLaxly(await serving(certificate()));
    expect([control.status, requests]).toEqual([200, 1]);
    expect(outcome).toEqual({ kind: 'never_sent', reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it('a certificate of another name is refused all the same, though its authority is given', async () => {
    const other = certificate('DNS:example.com');
    const { control, outcome } = await askLaxly(await serving(other), other.cert);
    expect([control.status, requests]).toEqual([200, 1]);
    expect(outcome).toEqual({ kind: 'never_sent', reason: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  it('a certificate of another authority than the given one is refused', async () => {
    const { outcome } = await askLaxly(await serving(certificate()), certificate().cert);
    expect([outcome.kind, requests]).toEqual(['never_sent', 1]);
  });

  it('a certificate of the given authority is accepted', async () => {
    const tls = certificate();
    expect((await askLaxly(await serving(tls), tls.cert)).outcome).toEqual({ kind: 'ok', reason: 'http_200' });
  });
});

describe('a provider that speaks only', () => {
  const tls = certificate();

  it.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('%s is not spoken to, though the process would', async (version) => {
    const { control, outcome } = await askLaxly(await serving(tls, version), tls.cert);
    expect([control, requests]).toEqual([{ status: 200, protocol: version }, 1]);
    expect(outcome.kind).toBe('never_sent');
  });

  it.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('%s is spoken to', async (version) => {
    const { outcome } = await askLaxly(await serving(tls, version), tls.cert);
    expect([outcome, requests]).toEqual([{ kind: 'ok', reason: 'http_200' }, 2]);
  });
});
