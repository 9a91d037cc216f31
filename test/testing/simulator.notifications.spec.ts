import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verify } from 'node:crypto';
import { RUB, startSimulator, type ProviderCaller } from './provider.caller.js';

/** The parameters in the order that is signed (PROVIDER.md, "Notifications"). */
const ORDER =
  'type id order_id payment_status amount payment_amount commission_amount is_partial_payment account service desc';

describe('notifications of the simulator', () => {
  let caller: ProviderCaller;
  let receiver: Server;
  let received: { method: string; query: URLSearchParams }[];
  let answers: number[];

  beforeEach(async () => {
    received = [];
    answers = [];
    receiver = createServer((request, response) => {
      received.push({ method: request.method ?? '', query: new URL(request.url ?? '', 'http://x').searchParams });
      response.writeHead(answers.shift() ?? 200, { connection: 'close' }).end();
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const notificationUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/n?from=a`;
    caller = await startSimulator({ notificationUrl });
  });
  afterEach(async () => {
    await caller.simulator.stop();
    receiver.closeAllConnections();
    await new Promise((resolve) => receiver.close(resolve));
  });

  /** Checked with what the test writes itself; every value here is plain ASCII without a slash. */
  function isSigned(query: URLSearchParams): boolean {
    const members = ORDER.split(' ').map((name) => {
      const value = query.get(name);
      return `"${name}":${name === 'id' || value === null ? value : `"${value}"`}`;
    });
    const signature = Buffer.from(query.get('sign') ?? '', 'base64');
    return verify('sha1', Buffer.from(`{${members.join(',')}}`), caller.keys.notification.publicKey, signature);
  }

  async function count(wanted: number): Promise<void> {
    while (received.length < wanted) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(received).toHaveLength(wanted);
  }

  it('are one signed GET with the documented parameters once the status is final', async () => {
    await caller.create('paid', '10.00', ',"notification_endpoint_id":5');
    await count(1);
    const [{ method, query } = { method: '', query: new URLSearchParams() }] = received;
    expect(method).toBe('GET');
    expect(isSigned(query)).toBe(true);
    expect(query.get('from')).toBe('a');
    expect(Object.fromEntries(query)).toMatchObject({
      type: 'payout',
      id: '100001524',
      order_id: 'paid',
      payment_status: 'paid',
      amount: '10.00',
      is_partial_payment: '0',
      account: RUB,
      service: 'payment_card_rub',
    });
  });

  it('are repeated until they are answered with 2xx', async () => {
    answers = [500, 404];
    await caller.create('again', '10.00', ',"notification_endpoint_id":5');
    await count(3);
    expect(caller.simulator.notificationsSent).toBe(3);
  });

  it('are given up after the set number of repeats', async () => {
    answers = Array<number>(9).fill(500);
    await caller.create('never', '10.00', ',"notification_endpoint_id":5');
    await count(4);
    // Long enough for a fifth, were there one.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(received).toHaveLength(4);
  });

  it('come before the create is answered when scripted early', async () => {
    caller.simulator.script({ on: 'payout', notification: 'early' });
    const reply = await caller.create('early', '10.00', ',"notification_endpoint_id":5');
    expect(reply.body['payment_status']).toBe('wait');
    expect(received).toHaveLength(1);
  });

  it('come twice when scripted duplicate, and not at all when scripted lost', async () => {
    caller.simulator.script({ on: 'payout', orderId: 'double', notification: 'duplicate' });
    caller.simulator.script({ on: 'payout', orderId: 'lost', notification: 'lost' });
    await caller.create('lost', '10.00', ',"notification_endpoint_id":5');
    await caller.create('double', '10.00', ',"notification_endpoint_id":5');
    await count(2);
    expect(received.map(({ query }) => query.get('order_id'))).toEqual(['double', 'double']);
  });

  it('of a paid payout do not verify when scripted forged', async () => {
    caller.simulator.script({ on: 'payout', notification: 'forged' });
    await caller.create('forged', '10.00', ',"notification_endpoint_id":5');
    await count(1);
    expect(received.map(({ query }) => isSigned(query))).toEqual([false]);
  });

  it('can be sent by hand, signed over what was overridden', async () => {
    await caller.create('by-hand', '10.04', ',"notification_endpoint_id":5');
    answers = [418];
    expect(await caller.simulator.notify('by-hand', { amount: '9000.44' })).toBe(418);
    expect(received[0]?.query.get('amount')).toBe('9000.44');
    expect(received.map(({ query }) => isSigned(query))).toEqual([true]);
  });

  it('can be signed without being sent, with every digit of the id', async () => {
    const id = '9007199254740993';
    const query = new URLSearchParams(caller.simulator.signedNotificationQuery({ type: 'payout', id, order_id: 'x' }));
    expect(query.get('id')).toBe(id);
    expect(query.has('amount')).toBe(false);
    expect(isSigned(query)).toBe(true);
    expect(received).toHaveLength(0);
  });
});
