import { randomBytes } from 'node:crypto';
import { Reflector } from '@nestjs/core';
import { PayoutController } from '../../src/payouts/payout.controller.js';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { RequireScope } from '../../src/payouts/payout.scopes.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, startApplication, type TestApplication, type TestSurroundings } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { withdrawNow } from '../helpers/people.js';

const CARD = '4111111111111111';
const oldKey = { id: 'old', key: randomBytes(32).toString('base64') };
const newKey = { id: 'new', key: randomBytes(32).toString('base64') };
const worker = { enabled: false };
let surroundings: TestSurroundings;
let host: TestApplication;
/** Orders of the payouts to the card, newest first; the older two were accepted under another key. */
const orders = ['card-3', 'card-2', 'card-1'];

interface Page {
  data: PayoutDto[];
  next_cursor: string | null;
}
const search = (body: unknown, contentType = 'application/json') =>
  host
    .http()
    .post('/alikassa/payouts/search')
    .set('Content-Type', contentType)
    .send(typeof body === 'string' ? body : JSON.stringify(body));
const found = async (body: object): Promise<Page> => {
  const response = await search(body);
  expect(response.status).toBe(200);
  return response.body as Page;
};
const ordersOf = ({ data }: Page): string[] => data.map(({ order_id }) => order_id);

beforeAll(async () => {
  surroundings = await prepare();
  const dto = (changes: Record<string, unknown>) => payload(changes) as never;
  const before = await startApplication({
    surroundings,
    port: await freePort(),
    options: { encryptionKeys: [oldKey], worker },
  });
  for (const order_id of ['card-1', 'card-2']) await before.payouts.create(dto({ number: CARD, order_id }));
  await before.payouts.create(dto({ order_id: 'phone' }));
  await before.stop();
  host = await startApplication({ surroundings, options: { encryptionKeys: [newKey, oldKey], worker } });
  await host.payouts.create(dto({ number: CARD, order_id: 'card-3' }));
  await withdrawNow(host.payouts, (await host.payouts.list({ order_id: 'card-2' })).data[0]!.id);
});
afterAll(async () => {
  await host.stop();
  await surroundings.stop();
});

describe('the search by number', () => {
  it('finds every payout to the number, under every key of the ring, newest first, and shows the number masked', async () => {
    const page = await found({ number: CARD });
    expect([ordersOf(page), page.next_cursor]).toEqual([orders, null]);
    expect(JSON.stringify(page)).not.toContain(CARD);
    expect(ordersOf(await found({ number: '79005554455' }))).toEqual(['phone']);
    expect(ordersOf(await found({ number: '4222222222222' }))).toEqual([]);
  });

  it('finds nothing by a part of the number, or by what is shown of it', async () => {
    for (const number of [CARD.slice(0, -1), '411111******1111', `${CARD}0`, '%', '_']) {
      expect(ordersOf(await found({ number }))).toEqual([]);
    }
  });

  it('pages and filters as the list does', async () => {
    const first = await found({ number: CARD, limit: 2 });
    expect(ordersOf(first)).toEqual(orders.slice(0, 2));
    const second = await found({ number: CARD, limit: 2, cursor: first.next_cursor });
    expect([ordersOf(second), second.next_cursor]).toEqual([orders.slice(2), null]);
    expect(ordersOf(await found({ number: CARD, status: 'withdrawn' }))).toEqual(['card-2']);
    expect(ordersOf(await found({ number: CARD, order_id: 'card-1' }))).toEqual(['card-1']);
    const unset = { limit: null, cursor: null, status: null, order_id: null };
    expect(ordersOf(await found({ number: CARD, ...unset }))).toEqual(orders);
  });

  it.each([
    ['with a space', `${CARD} `],
    ['with a space ahead', ` ${CARD}`],
    ['with spaces inside', '4111 1111 1111 1111'],
    ['that is a JSON number', 4111111111111111],
    ['in an array', [CARD]],
    ['in an object', { $ne: CARD }],
    ['with a control character', `${CARD}\u0000`],
    ['of 65 characters', '4111111111111111'.repeat(4) + '1'],
  ])('refuses a number %s, as create does, and does not repeat it', async (_, number) => {
    const create = await host.http().post('/alikassa/payouts').send(payload({ number }));
    const response = await search({ number });
    const message = ['number must be 1 to 64 ASCII characters without spaces'];
    expect([create.status, create.body]).toMatchObject([400, { message }]);
    expect([response.status, response.body]).toMatchObject([400, { code: 'invalid_input', message }]);
    expect(response.text).not.toContain('4111');
  });

  it.each([
    ['no number', {}, 400],
    ['an unknown field', { number: CARD, name: CARD }, 400],
    ['a limit of 0', { number: CARD, limit: 0 }, 400],
    ['a foreign cursor', { number: CARD, cursor: 'AAAA' }, 400],
    ['an array', [CARD], 400],
    ['malformed JSON', `{"number": "${CARD}`, 400],
  ])('refuses %s, and repeats nothing of it', async (_, body, status) => {
    const response = await search(body);
    expect(response.status).toBe(status);
    expect(response.text).not.toContain('4111');
  });

  it('takes the number as JSON only, and never from the URL', async () => {
    expect((await search(`number=${CARD}`, 'application/x-www-form-urlencoded')).status).toBe(415);
    const inUrl = await host.http().get(`/alikassa/payouts?number=${CARD}`);
    expect(inUrl.status).toBe(400);
    expect(inUrl.text).not.toContain(CARD);
    expect((await host.http().post(`/alikassa/payouts/search?number=${CARD}`)).status).not.toBe(200);
  });

  it('needs payouts:read', () => {
    // eslint-disable-next-line typescript/unbound-method -- only its metadata is read
    expect(new Reflector().get(RequireScope, PayoutController.prototype.search)).toBe('payouts:read');
  });
});
