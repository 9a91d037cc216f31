import http from 'node:http';
import { HttpModule, HttpService } from '@nestjs/axios';
import axios, { type AxiosInstance } from 'axios';
import axiosRetry from 'axios-retry';
import { prepare, RUB, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { create } from '../helpers/payout.checks.js';
import { submissionsOf } from '../helpers/submissions.js';
import { until } from '../helpers/until.js';

let surroundings: TestSurroundings;
let host: TestApplication;
/** The host's own HTTP clients: what it does to them is undone after each test. */
let clients: AxiosInstance[];
const undo: (() => void)[] = [];

beforeAll(async () => {
  surroundings = await prepare({ options: { timeoutMs: 1_500, leaseMs: 4_000, checkSchedule: [200] } });
  host = await startApplication({ surroundings, port: surroundings.port, imports: [HttpModule] });
  clients = [axios, host.app.get(HttpService, { strict: false }).axiosRef];
});
afterEach(() => {
  for (const back of undo.splice(0)) back();
});
afterAll(async () => {
  await host.stop();
  await surroundings.stop();
});

function changed<T extends object, K extends keyof T>(object: T, key: K, value: T[K]): void {
  const before = Object.getOwnPropertyDescriptor(object, key);
  undo.push(() => (before ? Object.defineProperty(object, key, before) : delete object[key]));
  object[key] = value;
}
const sentOf = (orderId: string): number => submissionsOf(surroundings.simulator, orderId);
/** The payout goes its way as it does beside no other code. */
async function expectPaidOnce(order_id: string): Promise<void> {
  const { id } = await create(host, payload({ order_id }));
  await host.until(id, 'paid');
  expect(sentOf(order_id)).toBe(1);
}

it("107: the host's clients retry, POST too -> a request goes out once per claim", async () => {
  for (const client of clients) {
    const { requestInterceptorId: asked, responseInterceptorId: answered } = axiosRetry(client, {
      retries: 5,
      retryCondition: () => true,
      shouldResetTimeout: true,
    });
    undo.push(() => {
      client.interceptors.request.eject(asked);
      client.interceptors.response.eject(answered);
    });
  }
  const { simulator } = surroundings;
  // Each submission is accepted, and its answer lost, refused, or a failure.
  simulator.script({ on: 'payout', orderId: 'reset', drop: 'after', times: 10 });
  simulator.script({ on: 'payout', orderId: 'silence', stall: true, times: 10 });
  simulator.script({ on: 'payout', orderId: '503', answer: { status: 503 }, times: 10 });
  const orders = ['reset', 'silence', '503'];
  const ids = await Promise.all(orders.map(async (order_id) => (await create(host, payload({ order_id }))).id));
  await Promise.all(ids.map((id) => host.until(id, 'paid')));
  expect(orders.map(sentOf)).toEqual([1, 1, 1]);
});

describe("108: the host's clients are set up in its own way -> no effect on the module", () => {
  it.each<[string, () => void]>([
    [
      'answers are unwrapped',
      () => {
        for (const { interceptors } of clients) {
          const id = interceptors.response.use((response) => response.data as never);
          undo.push(() => interceptors.response.eject(id));
        }
      },
    ],
    [
      'requests are rewritten',
      () => {
        for (const { interceptors } of clients) {
          const id = interceptors.request.use((config) => Object.assign(config, { data: '{}', url: '/elsewhere' }));
          undo.push(() => interceptors.request.eject(id));
        }
      },
    ],
    ['baseURL', () => clients.forEach(({ defaults }) => changed(defaults, 'baseURL', 'http://127.0.0.1:1'))],
    ['timeout', () => clients.forEach(({ defaults }) => changed(defaults, 'timeout', 1))],
    [
      'adapter',
      () => clients.forEach(({ defaults }) => changed(defaults, 'adapter', () => Promise.reject(new Error()))),
    ],
    ['proxy', () => clients.forEach(({ defaults }) => changed(defaults, 'proxy', { host: '127.0.0.1', port: 1 }))],
    ['agent', () => clients.forEach(({ defaults }) => changed(defaults, 'httpAgent', new http.Agent({ host: '::2' })))],
    ['params', () => clients.forEach(({ defaults }) => changed(defaults, 'params', { host: 'x' }))],
    ['auth', () => clients.forEach(({ defaults }) => changed(defaults, 'auth', { username: 'u', password: 'p' }))],
    ['headers', () => clients.forEach(({ defaults }) => changed(defaults.headers.common, 'Sign', 'x'))],
    ['transformRequest', () => clients.forEach(({ defaults }) => changed(defaults, 'transformRequest', [() => '{}']))],
    [
      'transformResponse',
      () => clients.forEach(({ defaults }) => changed(defaults, 'transformResponse', [() => null])),
    ],
    ['validateStatus', () => clients.forEach(({ defaults }) => changed(defaults, 'validateStatus', () => false))],
    ['axios.create', () => changed(axios, 'create', () => Promise.reject(new Error()) as never)],
    ['axios.getAdapter', () => changed(axios, 'getAdapter', () => () => Promise.reject(new Error()))],
    ['Axios.prototype', () => changed(axios.Axios.prototype, 'request', () => Promise.reject(new Error()))],
    ['HttpService.prototype', () => changed(HttpService.prototype, 'request', () => 'nothing' as never)],
    [
      'proxies of the environment',
      () =>
        ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy'].forEach((name) =>
          changed(process.env, name, 'http://127.0.0.1:1'),
        ),
    ],
  ])('%s', async (name, prepareHost) => {
    prepareHost();
    await expectPaidOnce(`108 ${name}`);
    expect(undo.length).toBeGreaterThan(0);
  });
});

it("109: the host logs what its clients send -> nothing of the module's is in it", async () => {
  const logged: unknown[] = [];
  for (const { interceptors } of clients) {
    const asked = interceptors.request.use((config) => (logged.push(config), config));
    const answered = interceptors.response.use((response) => (logged.push(response), response));
    undo.push(() => (interceptors.request.eject(asked), interceptors.response.eject(answered)));
  }
  for (const prototype of [axios.Axios.prototype, HttpService.prototype]) {
    const patched = prototype as unknown as { request: (...args: unknown[]) => unknown };
    const { request } = patched;
    changed(patched, 'request', function (this: unknown, ...args) {
      logged.push(args);
      return request.apply(this, args);
    });
  }
  await expectPaidOnce('109');
  await host.payouts.balance(RUB);
  await until(() => sentOf('109') === 1);
  expect(logged).toEqual([]);
  // The log is one: it holds what the host itself sends.
  await clients[0]!.get(surroundings.simulator.url).catch(() => undefined);
  expect(logged.length).toBeGreaterThan(0);
});
