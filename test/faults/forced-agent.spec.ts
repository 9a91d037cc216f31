import { createRequire } from 'node:module';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AliKassaModule, alikassaEntities } from '../../src/alikassa.module.js';
import { checkProcess } from '../../src/provider/process.check.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestSurroundings } from '../helpers/application.js';
import { startHostProcess } from '../helpers/host.js';
import { payload } from '../helpers/payload.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

const { bootstrap } = createRequire(import.meta.url)('global-agent') as { bootstrap: () => void };
/** What `bootstrap()` and the cases below replace; Node's modules are shared with the tests that follow. */
const PATCHED: [object, string[]][] = [
  [http, ['request', 'get', 'globalAgent', 'ClientRequest']],
  [https, ['request', 'get', 'globalAgent']],
  [net, ['connect', 'createConnection']],
  [tls, ['connect']],
  [http.Agent.prototype, ['addRequest', 'createConnection']],
  [https.Agent.prototype, ['createConnection']],
];
/** Set by assignment: `http` keeps it behind an accessor. */
const { globalAgent } = http;
const before = PATCHED.map(([object, names]) => names.map((name) => Object.getOwnPropertyDescriptor(object, name)));

let surroundings: TestSurroundings;
/** Takes every connection and resets it once something has been said. */
let trap: net.Server;
let trapped = 0;
const caught = new Set<net.Socket>();

beforeAll(async () => {
  surroundings = await prepare({ options: { timeoutMs: 1_500, leaseMs: 4_000, checkSchedule: [200] } });
  trap = net.createServer((socket) => {
    trapped += 1;
    caught.add(socket);
    socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy());
  });
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
  process.env['GLOBAL_AGENT_HTTP_PROXY'] = `http://127.0.0.1:${trapPort()}`;
});
beforeEach(() => (trapped = 0));
afterEach(() => {
  PATCHED.forEach(([object, names], at) => {
    names.forEach((name, index) => {
      const was = before[at]?.[index];
      if (was) Object.defineProperty(object, name, was);
      else delete (object as Record<string, unknown>)[name];
    });
  });
  http.globalAgent = globalAgent;
  delete (globalThis as Record<string, unknown>)['GLOBAL_AGENT'];
});
afterAll(async () => {
  delete process.env['GLOBAL_AGENT_HTTP_PROXY'];
  for (const socket of caught) socket.destroy();
  await new Promise((resolve) => trap.close(resolve));
  await surroundings.stop();
});

const trapPort = (): number => (trap.address() as AddressInfo).port;
const SENTENCE =
  /^proxy: this process sends requests over another connection than the one they are given [^\n]+name your proxy here$/;

describe('110: something makes every request use another agent -> refused at the start, in one sentence', () => {
  /** A request of Node's, over another agent than it was given. */
  const elsewhere =
    (send: typeof http.request, Agent: typeof http.Agent) =>
    (options: http.RequestOptions, ...rest: never[]): http.ClientRequest =>
      send({ ...options, agent: new Agent() }, ...rest);
  const toTrap = (): net.Socket => net.connect(trapPort(), '127.0.0.1');
  const { connect } = net;

  it.each<[string, () => void]>([
    ['global-agent', () => bootstrap()],
    ['http.request', () => (http.request = elsewhere(http.request, http.Agent) as never)],
    ['http.get', () => (http.get = elsewhere(http.get, http.Agent) as never)],
    ['https.request', () => (https.request = elsewhere(https.request, https.Agent) as never)],
    ['https.get', () => (https.get = elsewhere(https.get, https.Agent) as never)],
    ['Agent.createConnection', () => (http.Agent.prototype.createConnection = toTrap)],
    ['the connection of https', () => (https.Agent.prototype.createConnection = toTrap)],
    [
      'Agent.addRequest',
      () =>
        Object.assign(http.Agent.prototype, {
          addRequest: (request: http.ClientRequest) => request.onSocket(toTrap()),
        }),
    ],
    ['net.connect', () => (net.connect = (() => connect(trapPort(), '127.0.0.1')) as never)],
    ['tls.connect', () => (tls.connect = (() => toTrap()) as never)],
  ])('%s', async (_, patch) => {
    patch();
    await expect(checkProcess()).rejects.toThrow(SENTENCE);
  });

  it.each<[string, () => void]>([
    ['nothing', () => undefined],
    [
      'what only looks on, as instrumentation does',
      () => {
        const { request } = http;
        const connected = Reflect.get(http.Agent.prototype, 'createConnection') as (...args: unknown[]) => net.Socket;
        http.request = ((...args: Parameters<typeof request>) =>
          request(...args).on('response', () => undefined)) as never;
        http.Agent.prototype.createConnection = function (...args) {
          return connected.apply(this, args);
        };
      },
    ],
    ['another global agent, which requests with their own do not use', () => (http.globalAgent = new http.Agent())],
  ])('and %s is accepted', async (_, patch) => {
    patch();
    await expect(checkProcess()).resolves.toBeUndefined();
  });

  it('and a process that is stopped or busy meanwhile for longer than the look may take is accepted', async () => {
    const checking = checkProcess();
    // In the middle of it: its requests are under way.
    await new Promise((turn) => setImmediate(turn));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_500);
    await expect(checking).resolves.toBeUndefined();
  });

  it('and a connection that leads nowhere is refused within seconds', async () => {
    http.Agent.prototype.createConnection = () => new net.Socket();
    await expect(checkProcess()).rejects.toThrow(SENTENCE);
  });

  it.each([true, false])('of an application, and it does not start (its worker is on: %s)', async (enabled) => {
    const { database, options } = surroundings;
    const testing = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: alikassaEntities, retryAttempts: 0 }),
        AliKassaModule.forRoot({ ...options, worker: { ...options.worker, enabled } }),
      ],
    }).compile();
    bootstrap();
    await expect(testing.init()).rejects.toThrow(SENTENCE);
    await testing.close();
  });

  it('of a process that was started with it', async () => {
    const { database, options } = surroundings;
    const env = { NODE_OPTIONS: '--require global-agent/bootstrap', GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:1' };
    const started = startHostProcess({ databaseUrl: database.url, port: await freePort(), options, env });
    await expect(started).rejects.toThrow(/ended \(1\) before it listened:[^]*name your proxy here/);
  });
});

describe('patched after the start', () => {
  it.each<[string, () => void]>([
    ['by global-agent', () => bootstrap()],
    ['by what sends again when a request fails', () => (http.request = http.get = (() => http.request('x')) as never)],
    ['in its agents', () => (http.Agent.prototype.createConnection = () => net.connect(trapPort(), '127.0.0.1'))],
    ['in its class of requests', () => (http.ClientRequest = class {} as never)],
  ])('%s: a payout goes its way, once, and over nothing else', async (how, patch) => {
    const host = await startApplication({ surroundings, port: surroundings.port });
    const order_id = `after ${how}`;
    surroundings.simulator.script({ on: 'payout', orderId: order_id, drop: 'after' });
    try {
      const { pool } = surroundings.database;
      patch();
      const { id } = await host.payouts.create(payload({ order_id }) as never);
      const sql = "SELECT FROM alikassa_payouts WHERE id = $1 AND status = 'paid'";
      await until(async () => (await pool.query(sql, [id])).rowCount === 1);
      expect([submissionsOf(surroundings.simulator, order_id), trapped]).toEqual([1, 0]);
    } finally {
      await host.stop();
    }
  });
});
