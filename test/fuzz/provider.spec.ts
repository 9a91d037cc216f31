import net, { type AddressInfo, type Socket } from 'node:net';
import fc from 'fast-check';
import { SignatureInvalidError, UnencodableError } from '../../src/alikassa.errors.js';
import { phpJsonEncode } from '../../src/provider/php-json.js';
import {
  classifyAnswer,
  classifyStatusAnswer,
  createAnswerReader,
  readAccountInfoAnswer,
  readBalanceAnswer,
  readStatusAnswer,
  type HttpAnswer,
} from '../../src/provider/provider.answer.js';
import { AliKassaClient } from '../../src/provider/provider.client.js';
import { PROVIDER_STATUSES } from '../../src/provider/provider.types.js';
import { SignatureProvider } from '../../src/provider/signature.provider.js';
import { AliKassaSimulator, generateTestKeys } from '../../src/testing/index.js';
import { RUB } from '../helpers/application.js';
import { anyText, jsonText, queryOf, wellFormedText } from './arbitraries.js';
import { fuzz } from './runs.js';

const HOUR_MS = 3_600_000;
const KINDS = ['ok', 'refused', 'not_found', 'unauthorized', 'rate_limited', 'unclear'];
const SIGNED = ['type', 'order_id', 'payment_status', 'amount', 'account', 'service', 'desc'];
let signature: SignatureProvider;
let simulator: AliKassaSimulator;

beforeAll(async () => {
  const { payout, notification } = await generateTestKeys();
  signature = new SignatureProvider({
    privateKey: payout.privateKey,
    passphrase: payout.passphrase,
    notificationPublicKey: notification.publicKey,
  });
  simulator = new AliKassaSimulator({
    payoutPublicKey: payout.publicKey,
    notificationPrivateKey: notification.privateKey,
    accounts: [{ uuid: RUB, currency: 'RUB' }],
  });
});

/** What it gives or throws. */
function outcomeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

/** An object's text of these keys, each with any value or with one that could be the provider's. */
const recordText = (...keys: string[]): fc.Arbitrary<string> => {
  const value = fc.oneof(
    jsonText,
    fc.constantFrom('"wait"', '"paid"', '1', '"7"', '"300.00"', '"A-1"', '"RUB"', 'true'),
  );
  const member = fc.tuple(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...keys) }, anyText), value);
  return fc
    .array(member, { maxLength: 8 })
    .map((members) => `{${members.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`);
};
const refusalText = fc
  .tuple(anyText, fc.dictionary(anyText, fc.array(anyText, { maxLength: 3 }), { maxKeys: 3 }))
  .map(([message, errors]) => JSON.stringify({ message, errors }));
const bodyText = fc.oneof(
  recordText('id', 'payment_status', 'order_id', 'amount', 'payment_amount', 'is_partial_payment'),
  recordText('currency', 'balance', 'hold', 'is_allowed_payment', 'is_allowed_payout', 'payments', 'payouts'),
  refusalText,
  jsonText,
  anyText,
);
const body = fc.oneof(
  bodyText.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);
const answer: fc.Arbitrary<HttpAnswer> = fc.record({
  httpStatus: fc.oneof(fc.constantFrom(200, 200, 400, 400, 401, 404, 429), fc.integer({ min: 100, max: 999 })),
  headers: fc.record(
    { 'retry-after': fc.oneof(anyText, fc.constantFrom('7', '-1', '9e9')), 'content-encoding': anyText },
    { requiredKeys: [] },
  ),
  body,
});

it(
  'whatever the provider answers, a verdict is given that can be acted upon and stored',
  async () => {
    await fuzz('answers', 0.2, answer, (given) => {
      const created = classifyAnswer(given, createAnswerReader('A-1'));
      const status = classifyStatusAnswer(given, readStatusAnswer);
      const verdicts = [
        created,
        status,
        classifyAnswer(given, readBalanceAnswer),
        classifyAnswer(given, readAccountInfoAnswer),
      ];
      for (const verdict of verdicts) {
        expect(KINDS).toContain(verdict.kind);
        expect(verdict.reason).toMatch(/^[a-z0-9_]{1,60}$/);
      }
      expect(verdicts.some(({ kind }) => kind === 'ok') && given.httpStatus !== 200).toBe(false);
      expect(verdicts.some(({ kind }) => kind === 'refused') && given.httpStatus !== 400).toBe(false);
      for (const verdict of [created, status]) {
        const said = verdict.kind === 'ok' ? verdict.value : { id: '1', payment_status: 'wait' };
        expect([/^[1-9]\d{0,18}$/.test(said.id), PROVIDER_STATUSES]).toEqual([
          true,
          expect.arrayContaining([said.payment_status]),
        ]);
      }
      const kept = created.kind === 'refused' ? JSON.stringify([created.message, created.errors]) : '';
      // What Postgres does not take for JSON, and what may be a card number.
      expect(kept).not.toMatch(/\\u0000|\\ud[89a-f]|\d{6}/);
    });
  },
  HOUR_MS,
);

describe('over the wire', () => {
  const sockets = new Set<Socket>();
  let words = Buffer.alloc(0);
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(words));
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it(
    'whatever a server says, the outcome is told, and a request that it has read is never called unsent',
    async () => {
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const client = new AliKassaClient(signature, { baseUrl, timeoutMs: 5_000 });
      const headers = fc.array(fc.tuple(fc.constantFrom('Content-Length', 'Transfer-Encoding', 'X'), anyText), {
        maxLength: 3,
      });
      const spoken = fc.tuple(fc.integer({ min: 100, max: 600 }), headers, body).map(([code, fields, bytes]) => {
        const head = [`HTTP/1.1 ${code} X`, ...fields.map(([name, text]) => `${name}: ${text}`), '', ''];
        return Buffer.concat([Buffer.from(head.join('\r\n')), bytes]);
      });
      const anything = fc.oneof({ weight: 3, arbitrary: spoken }, { weight: 1, arbitrary: body });
      await fuzz('answers over the wire', 0.03, anything, async (bytes) => {
        words = bytes;
        const request = { amount: '5', number: '79005554455', order_id: 'A-1', service: 'qiwi_rub' };
        const { kind, phase } = await client.createPayout(RUB, request);
        expect([KINDS.includes(kind), phase]).toEqual([true, 'connected']);
      });
    },
    HOUR_MS,
  );
});

it(
  'verifyNotification gives exactly what was signed, or refuses',
  async () => {
    const value = fc.oneof(wellFormedText, fc.constantFrom('payout', 'paid', '12.00', RUB));
    const parameters = fc.dictionary(fc.constantFrom(...SIGNED), value, { maxKeys: 7 });
    const tail = fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      queryOf(...SIGNED, 'id', 'sign').map((text) => `&${text}`),
    );
    const cut = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(20));
    const digest = fc.constantFrom('sha1' as const, 'sha256' as const);
    await fuzz(
      'verifyNotification',
      0.12,
      fc.tuple(parameters, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), digest, tail, cut),
      (input) => {
        const [changes, id, algorithm, added, removed] = input;
        const signed = {
          type: 'payout',
          id,
          order_id: 'A-1',
          payment_status: 'paid',
          amount: null,
          payment_amount: null,
        };
        const whole = {
          ...signed,
          commission_amount: null,
          is_partial_payment: null,
          account: RUB,
          service: null,
          desc: null,
        };
        const sent = simulator.signedNotificationQuery({ ...whole, ...changes }, algorithm);
        const query = sent.slice(removed) + added;
        // Untouched and storable, it must be taken.
        const isGood = query === sent && id >= 0n && !sent.includes('%00') && sent.length <= 8_192;
        const fields = outcomeOf(() => signature.verifyNotification(query));
        const isRefused = fields instanceof SignatureInvalidError && !isGood;
        expect(isRefused ? null : fields).toEqual(isRefused ? null : { ...whole, ...changes, id: id.toString() });
      },
    );
  },
  HOUR_MS,
);

it(
  'phpJsonEncode gives ASCII that reads back as the same value, or refuses',
  async () => {
    const value = fc.anything({
      maxDepth: 4,
      key: anyText,
      values: [anyText, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined)],
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    await fuzz('phpJsonEncode', 0.1, value, (given) => {
      const text = outcomeOf(() => phpJsonEncode(given));
      if (text instanceof UnencodableError) return;
      expect(text).toMatch(/^[\0-\x7f]*$/);
      expect(text).not.toMatch(/(?<!\\)\//);
      expect(phpJsonEncode(JSON.parse(String(text)))).toBe(text);
    });
  },
  HOUR_MS,
);
