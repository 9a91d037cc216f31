import { ConfigurationError } from '../../src/alikassa.errors.js';
import { resolveOptions, type AliKassaOptions } from '../../src/alikassa.options.js';

const ACCOUNT = { uuid: '93d5df06-996c-48c3-9847-348d6b580b80', currency: 'RUB' };
const options: AliKassaOptions = {
  accounts: [ACCOUNT],
  privateKey: 'a key',
  notificationPublicKey: 'a key',
  encryptionKeys: [{ id: 'k', key: Buffer.alloc(32) }],
};
const resolved = (changes: object) => resolveOptions({ ...options, ...changes });

const TIMER = 2_147_483_647;
const TEN_YEARS = 315_360_000_000;
const COUNT = 1_000_000_000;
/** A setting's least and greatest value, and how it is given. */
const RANGES: [string, number, number, (value: unknown) => object][] = [
  ['timeoutMs', 1, TIMER, (timeoutMs) => ({ timeoutMs })],
  ['leaseMs', 1_500, TEN_YEARS, (leaseMs) => ({ timeoutMs: 1_000, leaseMs })],
  ['checkSchedule', 1, TEN_YEARS, (pause) => ({ checkSchedule: [10_000, pause] })],
  ['attentionAfterMs', 1, TEN_YEARS, (attentionAfterMs) => ({ attentionAfterMs })],
  ['rejectAfterNotFound', 1, COUNT, (rejectAfterNotFound) => ({ rejectAfterNotFound })],
  ['rejectAfterMs', 1, TEN_YEARS, (rejectAfterMs) => ({ rejectAfterMs })],
  ['maxUnsentAttempts', 1, COUNT, (maxUnsentAttempts) => ({ maxUnsentAttempts })],
  ['maxResubmissions', 1, COUNT, (maxResubmissions) => ({ maxResubmissions })],
  ['pauseMs', 1, TEN_YEARS, (pauseMs) => ({ pauseMs })],
  ['recipientRetentionDays', 1, 36_500, (recipientRetentionDays) => ({ recipientRetentionDays })],
  ['worker.concurrency', 1, 10_000, (concurrency) => ({ worker: { concurrency } })],
  ['worker.sweepIntervalMs', 50, TIMER, (sweepIntervalMs) => ({ worker: { sweepIntervalMs } })],
];

it.each(RANGES)('%s goes from %d to %d', (_, least, most, given) => {
  for (const value of [least, most]) expect(() => resolved(given(value))).not.toThrow();
});

it.each(
  RANGES.flatMap(([setting, least, most, given]) =>
    [
      least - 1,
      most + 1,
      0,
      -1,
      1.5,
      least + 0.5,
      NaN,
      Infinity,
      -Infinity,
      2 ** 53,
      '60000',
      '1m',
      null,
      [],
      {},
      true,
    ].map((value): [string, unknown, object] => [setting, value, given(value)]),
  ).filter(([, value]) => value !== null),
)('%s of %p is refused in one sentence', (setting, _, changes) => {
  const start = (): unknown => resolved(changes);
  expect(start).toThrow(ConfigurationError);
  expect(start).toThrow(expect.objectContaining({ setting }) as Error);
  expect(start).toThrow(/^[\w.]+: must be [^\n]+$/);
});

it.each([1, 100, 499])('a lease %d ms longer than a call is refused: nothing could be sent in it', (spare) => {
  expect(() => resolved({ timeoutMs: 30_000, leaseMs: 30_000 + spare })).toThrow(
    /^leaseMs: must be longer than timeoutMs \(30000\) by 500 at least/,
  );
});

it('the lease is longer than any call by default', () => {
  expect(resolved({ timeoutMs: TIMER }).leaseMs).toBe(TIMER + 30_000);
});

it.each<[string, object]>([
  ['accounts', { accounts: undefined }],
  ['accounts', { accounts: {} }],
  ['accounts', { accounts: [null] }],
  ['accounts', { accounts: [{ uuid: 5, currency: 'RUB' }] }],
  ['accounts', { accounts: [{ ...ACCOUNT, currency: 643 }] }],
  ['baseUrl', { baseUrl: 5 }],
  ['baseUrl', { baseUrl: '' }],
  ['baseUrl', { baseUrl: new URL('https://provider.example') }],
  ['ca', { ca: '' }],
  ['checkSchedule', { checkSchedule: [] }],
  ['checkSchedule', { checkSchedule: '10s' }],
  ['confirmNotifications', { confirmNotifications: 'false' }],
  ['digest', { digest: 'md5' }],
  ['encryptionKeys', { encryptionKeys: [{ id: 'k', key: 5 }] }],
  ['encryptionKeys', { encryptionKeys: [{ id: 'k' }] }],
  ['notificationUrl', { notificationUrl: 5 }],
  ['notificationUrl', { notificationUrl: '' }],
  ['onNotFound', { onNotFound: 'fail' }],
  ['worker.enabled', { worker: { enabled: 'false' } }],
  ['worker.enabled', { worker: { enabled: 0 } }],
  ['worker.schema', { worker: { schema: '' } }],
  ['worker.schema', { worker: { schema: 'pg_jobs' } }],
  ['worker.schema', { worker: { schema: 'x'.repeat(64) } }],
])('%s that is none is refused: %j', (setting, changes) => {
  expect(() => resolved(changes)).toThrow(expect.objectContaining({ setting, name: ConfigurationError.name }) as Error);
});
