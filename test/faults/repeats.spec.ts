import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { DataSource } from 'typeorm';
import { InvalidInputError, OrderConflictError, RecipientUnreadableError } from '../../src/alikassa.errors.js';
import type { AliKassaOptions } from '../../src/alikassa.options.js';
import type { CreatePayoutDto } from '../../src/payouts/payout.dto.js';
import {
  EUR,
  prepare,
  RUB,
  startApplication,
  type TestApplication,
  type TestSurroundings,
} from '../helpers/application.js';
import { payload } from '../helpers/payload.js';

const ONLY_RUB = [{ uuid: RUB, currency: 'RUB' }];
const ONLY_EUR = [{ uuid: EUR, currency: 'EUR' }];
const BOTH = [...ONLY_RUB, ...ONLY_EUR];
const OLD = { id: 'old', key: randomBytes(32).toString('base64') };
const NEW = { id: 'new', key: randomBytes(32).toString('base64') };
const EXPIRING = { card_exp_year: '79', card_exp_month: '01' };
const YEARS_MS = 60 * 366 * 86_400_000;
const order = (changes: Record<string, unknown> = {}): CreatePayoutDto => payload(changes) as never;

let around: TestSurroundings;
const hosts: TestApplication[] = [];
/** The same service, configured otherwise. */
async function hostWith(options: Partial<AliKassaOptions>): Promise<TestApplication> {
  const given = { worker: { enabled: false }, accounts: ONLY_RUB, encryptionKeys: [OLD], ...options };
  const host = await startApplication({ surroundings: around, options: given });
  hosts.push(host);
  return host;
}

beforeAll(async () => {
  around = await prepare();
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const host of hosts.splice(0)) await host.app.close();
});
afterAll(async () => around.stop());

/** The repeat is answered with the payout, in a transaction and without one; what differs, or is new, is not taken. */
async function expectRepeated({ payouts, app }: TestApplication, dto: CreatePayoutDto, id: string): Promise<void> {
  expect(await payouts.createOrFind(dto)).toMatchObject({ created: false, payout: { id } });
  await app.get(DataSource).transaction(async (manager) => {
    expect(await payouts.create(dto, { manager })).toMatchObject({ id });
  });
  await expect(payouts.create(Object.assign(order(), dto, { amount: '13.00' }))).rejects.toThrow(OrderConflictError);
}

it('122: a rule of the day or of configuration has changed -> an honest repeat gets the payout that exists', async () => {
  const before = await hostWith({});
  const expiring = order({ extra: EXPIRING });
  const { account: _, ...without } = order();
  const named = order();
  const [card, bare, full] = await Promise.all([expiring, without, named].map((dto) => before.payouts.create(dto)));

  const later = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + YEARS_MS);
  await expectRepeated(before, expiring, card!.id);
  await expect(before.payouts.create(order({ extra: EXPIRING }))).rejects.toThrow(InvalidInputError);
  later.mockRestore();

  const added = await hostWith({ accounts: BOTH });
  await expectRepeated(added, without, bare!.id);
  await expect(added.payouts.create({ ...without, order_id: 'of no account' })).rejects.toThrow(InvalidInputError);

  const removed = await hostWith({ accounts: ONLY_EUR });
  await expectRepeated(removed, without, bare!.id);
  await expectRepeated(removed, named, full!.id);
  await expect(removed.payouts.create(order())).rejects.toThrow(InvalidInputError);
  const answer = await removed.http().post('/alikassa/payouts').send(named);
  expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ id: full!.id })]);

  await expectRepeated(await hostWith({ encryptionKeys: [NEW, OLD] }), named, full!.id);
});

it('says that the payout exists, and what to do, where its key is gone', async () => {
  const before = await hostWith({});
  const dto = order();
  const { id } = await before.payouts.create(dto);
  const host = await hostWith({ encryptionKeys: [NEW] });
  const refusal: unknown = await host.payouts.create(dto).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(RecipientUnreadableError);
  expect(String(refusal)).toContain(id);
  expect(String(refusal)).toContain('encryption key "old"');
  expect((await host.http().post('/alikassa/payouts').send(dto)).body).toMatchObject({ code: 'recipient_unreadable' });
});
