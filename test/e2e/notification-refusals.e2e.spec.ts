import { APP_GUARD } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { NotificationRefusals } from '../../src/notifications/notification.refusals.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';
import { forgedQuery, signedQuery, signOf, withSign } from '../helpers/notification.query.js';
import { exchange, requestText, type RawAnswer } from '../helpers/raw.http.js';
import { Statements } from '../helpers/statements.js';

const PATH = '/alikassa/notifications';

const MALFORMED: [what: string, spoil: (query: string) => string][] = [
  ['nothing', () => ''],
  ['no sign', (query) => query.replace(/&sign=.*/, '')],
  ['sign twice', (query) => `${query}&sign=AAAA`],
  ['a parameter twice', (query) => `${query}&amount=12.00`],
  ['a parameter in disguise', (query) => `${query}&order.id=x`],
  ['url-safe base64', (query) => withSign(query, signOf(query).replaceAll('+', '-').replaceAll('/', '_').slice(0, -1))],
  ['a line break in the base64', (query) => withSign(query, `${signOf(query)}\n`)],
  ['a signature a byte too short', (query) => withSign(query, Buffer.alloc(255, 1).toString('base64'))],
  ['a signature a byte too long', (query) => withSign(query, Buffer.alloc(257).toString('base64'))],
  ['8 KB and a byte', (query) => `${query}&x=${'x'.repeat(8_193 - query.length - 3)}`],
];

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('on %s', (_, adapter) => {
  const statements = new Statements();
  const log = new LogLines();
  /** Requests that came through the host's framework as far as its guards. */
  let seen = 0;
  let host: TestApplication;
  let port: number;

  beforeAll(async () => {
    host = await startApplication({
      adapter: adapter(),
      // Without a worker, whatever reaches the database comes from a request.
      options: { worker: { enabled: false } },
      dataSource: { logging: ['query'], logger: statements },
      logger: log,
      providers: [{ provide: APP_GUARD, useValue: { canActivate: () => (seen += 1) > 0 } }],
    });
    port = Number(new URL(await host.app.getUrl()).port);
  });
  afterAll(async () => host.stop());
  beforeEach(() => {
    statements.sent.length = 0;
  });

  const send = {
    GET: (query: string): Promise<RawAnswer> => exchange(port, requestText('GET', `${PATH}?${query}`)),
    'POST form': (query: string): Promise<RawAnswer> => exchange(port, requestText('POST', PATH, query)),
  };

  describe.each(['GET', 'POST form'] as const)('by %s', (how) => {
    it.each(MALFORMED)('%s is refused with 400 and costs no statement', async (_, spoil) => {
      // The second time, the place of the endpoint is known to the gate before the framework.
      for (let time = 0; time < 2; time += 1) {
        const { status, body } = await send[how](spoil(signedQuery(host.simulator)));
        expect([status, JSON.parse(body)]).toEqual([400, expect.objectContaining({ code: 'notification_malformed' })]);
      }
      expect(statements.sent).toEqual([]);
    });

    it.each([
      ['other content', (query: string) => query.replace('payment_status=paid', 'payment_status=fail')],
      ['bytes of chance', (query: string) => withSign(query, Buffer.alloc(256, 7).toString('base64'))],
      ['a number beyond the key', (query: string) => withSign(query, Buffer.alloc(256, 255).toString('base64'))],
    ])('a signature of %s is refused with 403 and costs no statement', async (_, spoil) => {
      for (let time = 0; time < 2; time += 1) {
        const { status, body } = await send[how](spoil(signedQuery(host.simulator)));
        expect([status, JSON.parse(body)]).toEqual([
          403,
          {
            statusCode: 403,
            error: 'Forbidden',
            code: 'signature_invalid',
            message: "The notification's signature does not belong to its content.",
          },
        ]);
      }
      expect(statements.sent).toEqual([]);
    });

    it('exactly 8 KB, validly signed, is taken', async () => {
      const query = signedQuery(host.simulator);
      expect(await send[how](`${query}&x=${'x'.repeat(8_192 - query.length - 3)}`)).toMatchObject({ status: 200 });
      expect(statements.sent).not.toEqual([]);
    });
  });

  it.each([
    ['HEAD', [405]],
    ['PUT', [404]],
    ['DELETE', [404]],
    ['PATCH', [404]],
    // Express answers by itself: which methods there are.
    ['OPTIONS', [404, 200]],
  ])('%s does nothing', async (method, statuses) => {
    const query = signedQuery(host.simulator);
    for (const text of [requestText(method, `${PATH}?${query}`), requestText(method, PATH, query)]) {
      expect(statuses).toContain((await exchange(port, text)).status);
    }
    expect(statements.sent).toEqual([]);
  });

  it('a form of more than a body may have is refused, and costs no statement', async () => {
    const { status } = await exchange(port, requestText('POST', PATH, `x=${'x'.repeat(2_000_000)}`));
    expect([400, 413]).toContain(status);
    expect(statements.sent).toEqual([]);
  });

  it.each([PATH, `${PATH}/`, PATH.toUpperCase()])('refuses a forged query at %s before the framework', async (path) => {
    await send.GET(signedQuery(host.simulator));
    const before = seen;
    const { status } = await exchange(port, requestText('GET', `${path}?${forgedQuery(host.simulator)}`));
    expect([status, seen]).toEqual([403, before]);
  });

  it('lets the framework see what is genuine', async () => {
    const before = seen;
    expect(await send.GET(signedQuery(host.simulator))).toMatchObject({ status: 200 });
    expect(seen).toBe(before + 1);
  });

  it('counts what it refuses, by reason', async () => {
    const { totals } = host.app.get(NotificationRefusals, { strict: false });
    await send.GET('');
    await send.GET(forgedQuery(host.simulator));
    await send['POST form'](forgedQuery(host.simulator));
    const { malformed, mismatch, overload } = host.app.get(NotificationRefusals, { strict: false }).totals;
    expect([malformed, mismatch, overload]).toEqual([totals.malformed + 1, totals.mismatch + 2, 0]);
  });

  it('logs the first refusal at once, and few lines however many follow', () => {
    const lines = log.lines.filter((line) => line.includes('refused'));
    expect(lines[0]).toContain('1 notification was refused: 1 malformed.');
    expect(lines.length).toBeLessThan(10);
  });
});
