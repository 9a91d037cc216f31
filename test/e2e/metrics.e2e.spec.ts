import { readFileSync } from 'node:fs';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { RUB } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { startReference, TOKENS, type ReferenceApplication } from '../helpers/reference.js';
import { startTelemetry } from '../helpers/telemetry.js';
import { eventually } from '../helpers/until.js';

const scrape = async (app: ReferenceApplication): Promise<Response> => fetch(new URL('/metrics', app.url));

it('GET /metrics tells Prometheus of payouts, without a token', async () => {
  const app = await startReference();
  try {
    const body = payload();
    const created = await app.call(TOKENS.all.text, 'POST', 'payouts', body);
    const { id } = created.body as unknown as PayoutDto;
    await eventually('it is paid', async () => {
      const { body: payout } = await app.call(TOKENS.all.text, 'GET', `payouts/${id}`);
      return payout.status === 'paid';
    });
    const response = await scrape(app);
    const text = await response.text();
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/plain'),
    ]);
    for (const line of [
      /^alikassa_payout_submission_duration_count\{.*alikassa_outcome="ok".*\} 1$/m,
      new RegExp(`^alikassa_payouts\\{.*alikassa_account="${RUB}",alikassa_payout_status="unknown".*\\} 0$`, 'm'),
      /^alikassa_payout_settled_total\{.*alikassa_payout_status="paid".*\} 1$/m,
      /^alikassa_queue_lag\{.*alikassa_queue="payouts".*\} [\d.]+$/m,
      /^alikassa_worker_running(?:\{.*\})? 1$/m,
      /^alikassa_signature_duration_bucket\{/m,
    ]) {
      expect(text).toMatch(line);
    }
    for (const secret of [id, String(body.order_id), String(body.number)]) expect(text).not.toContain(secret);
  } finally {
    await app.stop();
  }
});

it('an SDK that is loaded already exports the metrics, and GET /metrics says so', async () => {
  const telemetry = startTelemetry();
  const app = await startReference();
  try {
    const { status } = await scrape(app);
    expect({ status, own: (await telemetry.metrics()).has('alikassa.payouts') }).toEqual({ status: 404, own: true });
  } finally {
    await app.stop();
    await telemetry.stop();
  }
});

it.each(['docs/grafana-dashboard.json', 'docs/OBSERVABILITY.md'])('%s asks for no metric that there is not', (file) => {
  const sources = ['src/instrumentation/instruments.ts', 'src/monitoring/payout.gauges.ts'];
  const made = sources.flatMap((source) => [...readFileSync(source, 'utf8').matchAll(/'(alikassa\.[a-z.]+)', ?['"]/g)]);
  const counters = [...readFileSync(sources[0]!, 'utf8').matchAll(/createCounter\('([a-z.]+)'/g)];
  const names = new Set([...made, ...counters].map(([, name]) => name!.replaceAll('.', '_')));
  const asked = [
    ...readFileSync(file, 'utf8').matchAll(/\b(alikassa_[a-z_]+?)(?:_total|_count|_bucket)?(?=[`)[{ ,])(?!\{\{)/g),
  ];
  const labels =
    /^alikassa_(?:instance|account|service|outcome|queue|handler|payout_status|payout_attention|notification_result|signature_operation|database_state)$/;
  const unknown = asked.map(([, name]) => name!).filter((name) => !labels.test(name) && !names.has(name));
  expect(names.size).toBe(13);
  expect(asked.length).toBeGreaterThan(10);
  expect(unknown).toEqual(['alikassa_queue_lag_seconds'].filter(() => file.endsWith('.md')));
});
