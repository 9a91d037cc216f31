import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ValidationPipe, type INestApplication, type PipeTransform, type Provider } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import { jsonOf } from '../../src/payouts/request.input.js';
import { startApplication, type TestApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';

/** A parsing pipe of the host's own, that makes of everything what it is told. */
class Rewriting implements PipeTransform {
  transform(value: unknown): unknown {
    return typeof value === 'object' && value !== null ? { ...value, ...payload({ amount: '999.00' }) } : '1';
  }
}

const CONVERTING = new ValidationPipe({ transform: true, transformOptions: { enableImplicitConversion: true } });
const PIPES = [CONVERTING, new ValidationPipe({ whitelist: true, transform: true }), new Rewriting()];
const providers: Provider[] = PIPES.map((useValue) => ({ provide: APP_PIPE, useValue }));

/** The body of a good payout as text, with a piece of it replaced. */
function bodyWith(name: string, text: string, changes: Record<string, unknown> = {}): string {
  const body = JSON.stringify(payload({ ...changes, [name]: 'HERE' }));
  return body.replace('"HERE"', text);
}

const REFUSED: [string, string][] = [
  ...['40817810099910004312', '79005554455', 'true'].map((text): [string, string] => [
    `number ${text}`,
    bodyWith('number', text),
  ]),
  ['an order_id above 2^53', bodyWith('order_id', '9007199254740993')],
  ['an order_id of digits', bodyWith('order_id', '7')],
  ['a phone of digits', bodyWith('customer_phone', '79005554455')],
  ['a code of digits', bodyWith('customer_code', '12')],
  ['a year in extra', bodyWith('extra', '{"card_exp_year":79,"card_exp_month":"01"}')],
  ['a holder that is true', bodyWith('extra', '{"card_holder":true}')],
  ['an endpoint as text', bodyWith('notification_endpoint_id', '"5"')],
  ['an endpoint with a fraction', bodyWith('notification_endpoint_id', '5.0')],
  ...['true', '1e3', '1E2', '1.0', '-0', '500.000000000000000001', '[500]'].map((text): [string, string] => [
    `amount ${text}`,
    bodyWith('amount', text),
  ]),
  ['an amount twice', bodyWith('amount', '"1.00","amount":"999.00"')],
  ['the same amount twice', bodyWith('amount', '"1.00","amount":"1.00"')],
  ['an amount twice, once in disguise', bodyWith('amount', '"1.00","\\u0061mount":"999.00"')],
  ['a field of extra twice', bodyWith('extra', '{"card_holder":"A","card_holder":"B"}')],
  ['a field of extra twice, in disguise', bodyWith('extra', '{"card_holder":"A","card\\u005fholder":"B"}')],
  ['extra twice', bodyWith('extra', '{"card_holder":"A"},"extra":{}')],
  ['__proto__ twice', bodyWith('extra', '{"__proto__":1,"__proto__":1}')],
];

const portOf = ({ app }: TestApplication): number => ((app.getHttpServer() as Server).address() as AddressInfo).port;

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('on %s', (_, adapter) => {
  let host: TestApplication;
  beforeAll(async () => {
    host = await startApplication({ adapter: adapter(), providers, options: { worker: { enabled: false } } });
  });
  afterAll(async () => host.stop());

  const post = (body: string | Buffer, headers: Record<string, string> = {}, path = '') =>
    fetch(`http://127.0.0.1:${portOf(host)}/alikassa/payouts${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  const rows = async (): Promise<number> =>
    (await host.database.pool.query('SELECT 1 FROM alikassa_payouts')).rowCount ?? 0;

  it("135: the host's pipes convert -> what was sent is what counts, numbers for text and repeated names are refused", async () => {
    const before = await rows();
    for (const [what, body] of REFUSED) expect([what, (await post(body)).status]).toEqual([what, 400]);
    expect(await rows()).toBe(before);

    const sent = payload({ amount: '1.10', number: '40817810099910004312', order_id: '9007199254740993' });
    const accepted = (await (await post(JSON.stringify(sent))).json()) as Record<string, string>;
    expect(accepted).toMatchObject({ amount: '1.10', order_id: '9007199254740993', number: '****************4312' });
    expect((await post(bodyWith('amount', '500'))).status).toBe(201);

    const get = (path: string) => host.http().get(`/alikassa/payouts${path}`);
    expect((await get(`/${accepted['id']}`)).body).toMatchObject({ order_id: '9007199254740993' });
    expect((await get('?order_id=9007199254740993')).body).toMatchObject({ data: [{ id: accepted['id'] }] });
    for (const query of ['limit=true', 'limit=1e1', 'limit=0x10', 'limit=1&limit=1', 'status=true', 'limit=1.0'])
      expect([query, (await get(`?${query}`)).status]).toEqual([query, 400]);
    for (const search of [
      '{"number":79005554455}',
      '{"number":"79005554455","limit":true}',
      '{"number":"1","number":"2"}',
    ])
      expect([search, (await post(search, {}, '/search')).status]).toEqual([search, 400]);
    const found = await post('{"number":"40817810099910004312"}', {}, '/search');
    expect(await found.json()).toMatchObject({ data: [{ id: accepted['id'] }] });
  });

  it('reads UTF-8 alone, with or without its mark', async () => {
    const body = JSON.stringify(payload({ customer_first_name: 'Ива́н' }));
    const utf8 = Buffer.from(`\ufeff${body}`);
    expect((await post(utf8)).status).toBe(201);
    expect((await post(body, { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(200);
    // Who says no, the host's parser or the module, is another matter.
    for (const [bytes, headers] of [
      [Buffer.from(body, 'utf16le'), {}],
      [Buffer.from(JSON.stringify(payload({ customer_code: 'é' })), 'latin1'), {}],
      [Buffer.from(body, 'latin1'), { 'content-type': 'application/json; charset=latin1' }],
      [Buffer.from(body, 'utf16le'), { 'content-type': 'application/json; charset=utf-16' }],
    ] as const)
      expect([400, 415]).toContain((await post(bytes, headers)).status);
  });

  it('refuses what is packed: its bytes are not those that were parsed', async () => {
    const answer = await post(gzipSync(JSON.stringify(payload())), { 'content-encoding': 'gzip' });
    expect([400, 415]).toContain(answer.status);
  });

  it('refuses a body that is too long, and one that is cut', async () => {
    expect((await post(bodyWith('customer_code', `"${'x'.repeat(1_200_000)}"`))).status).toBe(413);
    expect((await post(JSON.stringify(payload()).slice(0, -1))).status).toBe(400);
  });
});

it('reads a body that no parser has read', async () => {
  const host = await startApplication({ options: { worker: { enabled: false } } });
  // As "Multiple servers" of Nest's documents: beside the application's own server, without its parser.
  const { app } = host as { app: INestApplication };
  const express = app.getHttpAdapter().getInstance() as {
    (...given: unknown[]): void;
    router: { stack: { name: string }[] };
  };
  express.router.stack = express.router.stack.filter(({ name }) => name !== 'jsonParser');
  const second = createServer(express).listen(0, '127.0.0.1');
  try {
    await new Promise((listening) => second.once('listening', listening));
    const { port } = second.address() as AddressInfo;
    const post = (body: string) =>
      fetch(`http://127.0.0.1:${port}/alikassa/payouts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
    expect((await post(JSON.stringify(payload()))).status).toBe(201);
    expect((await post(bodyWith('amount', '"1.00","amount":"999.00"'))).status).toBe(400);
    expect((await post(bodyWith('customer_code', `"${'x'.repeat(200_000)}"`))).status).toBe(413);
  } finally {
    second.closeAllConnections();
    second.close();
    await host.stop();
  }
});

it('reads what no HTTP/1 server has taken', async () => {
  const adapter = new FastifyAdapter({ http2: true } as never);
  const host = await startApplication({ adapter, providers, options: { worker: { enabled: false } } });
  const session = connect(`http://127.0.0.1:${portOf(host)}`);
  const post = async (body: string): Promise<unknown> => {
    const headers = { ':method': 'POST', ':path': '/alikassa/payouts', 'content-type': 'application/json' };
    const stream = session.request(headers).end(body);
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
    stream.resume();
    return answer[':status'];
  };
  try {
    expect(await post(JSON.stringify(payload()))).toBe(201);
    expect(await post(bodyWith('amount', '"1.00","amount":"999.00"'))).toBe(400);
  } finally {
    session.destroy();
    await host.stop();
  }
});

it('refuses a body that was read before it could be kept, and says what to do; the raw body of the host counts', async () => {
  // As a server without sockets gives it, e.g. of a function in the cloud.
  const stream = Readable.from(['{}']);
  for await (const _ of stream);
  const request = Object.assign(stream, { headers: { 'content-type': 'application/json' } });
  await expect(jsonOf(request)).rejects.toThrow('rawBody: true');
  const rawBody = Buffer.from('{"amount":"1.00","amount":"2.00"}');
  await expect(jsonOf(Object.assign(request, { rawBody }))).rejects.toThrow('must not give a field twice');
});

it("reads the request also where the host's own middleware has left something as its `raw`", async () => {
  const stream = Readable.from([Buffer.from('{"amount":"1.00"}')]);
  const headers = { 'content-type': 'application/json' };
  const request = Object.assign(stream, { headers, raw: Buffer.from('{"amount":"999.00"}') });
  await expect(jsonOf(request)).resolves.toEqual({ amount: '1.00' });
});

it("leaves a DTO in the host's own controller as it was sent, whatever its pipe converts", () => {
  for (const [name, value] of Object.entries({
    order_id: 2 ** 60,
    number: 5,
    customer_phone: 79005554455,
    amount: true,
  })) {
    const dto = plainToInstance(CreatePayoutDto, payload({ [name]: value }), { enableImplicitConversion: true });
    expect(validateSync(dto).map(({ property }) => property)).toEqual([name]);
  }
  const dto = plainToInstance(CreatePayoutDto, payload({ order_id: randomUUID() }), { enableImplicitConversion: true });
  expect(validateSync(dto)).toEqual([]);
});
