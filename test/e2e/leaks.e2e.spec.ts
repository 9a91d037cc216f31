import { randomUUID } from 'node:crypto';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { RUB, startApplication } from '../helpers/application.js';
import { LogLines } from '../helpers/log.lines.js';

const CANARIES = { number: '4111111111111111', customer_first_name: 'Канарейкин', customer_phone: '79001112233' };

describe('logs at debug level', () => {
  it('hold no recipient, on any way that a payout can take', async () => {
    const logger = new LogLines();
    const host = await startApplication({ logger });
    const create = async (changes: object = {}) => {
      const payload = {
        account: RUB,
        amount: '5.00',
        order_id: randomUUID(),
        service: 'payment_card_rub',
        ...CANARIES,
      };
      const response = await host
        .http()
        .post('/alikassa/payouts')
        .send({ ...payload, ...changes });
      return { response, payout: response.body as PayoutDto };
    };
    const answers: string[] = [];
    for (const amount of ['5.00', '5.01', '5.02', '5.06']) {
      const { payout } = await create({ amount });
      const end = { '5.00': 'paid', '5.01': 'rejected', '5.02': 'fail', '5.06': 'paid' }[amount] ?? '';
      answers.push(JSON.stringify(await host.until(payout.id, end)));
      answers.push((await host.http().get(`/alikassa/payouts/${payout.id}/events`)).text);
    }
    const quoting = JSON.stringify({ message: `bad ${CANARIES.number}`, errors: { number: [CANARIES.number] } });
    for (const fault of [{ drop: 'after' as const }, { answer: { status: 400, body: quoting }, accept: false }]) {
      const order_id = randomUUID();
      host.simulator.script({ on: 'payout', orderId: order_id, ...fault });
      const { payout } = await create({ order_id });
      await host.until(payout.id, fault.drop ? 'paid' : 'rejected');
      answers.push((await host.http().get(`/alikassa/payouts/${payout.id}/events`)).text);
    }
    answers.push(
      (await create({ amount: 'x' })).response.text,
      (await create({ number: `${CANARIES.number}1` })).response.text,
    );
    await host.database.pool.query('ALTER TABLE alikassa_payouts RENAME TO away');
    const { response } = await create();
    expect(response.status).toBe(503);
    answers.push(response.text);
    await host.database.pool.query('ALTER TABLE away RENAME TO alikassa_payouts');
    await host.stop();
    const seen = [...logger.lines, ...answers].join('\n');
    // The log was really at debug level.
    expect(seen).toContain('attempt 1');
    for (const value of Object.values(CANARIES)) {
      for (const form of [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')]) {
        expect(seen).not.toContain(form);
      }
    }
  });
});
