import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { startApplication } from '../helpers/application.js';
import { payload } from '../helpers/payload.js';
import { decideNow } from '../helpers/people.js';
import { until } from '../helpers/until.js';

/** The documented answer of the provider. */
const NOT_FOUND =
  '{"message":"The given data was invalid.","errors":{"order_id":["The selected order id is invalid."]}}';

describe('a payout that may have been sent, and that the provider does not know', () => {
  it('is held for a person by default, and sent again only when one says so', async () => {
    const host = await startApplication();
    host.simulator.script({ on: 'payout', drop: 'before' });
    const { body } = await host
      .http()
      .post('/alikassa/payouts')
      .send(payload({ order_id: 'held' }));
    const { id } = body as PayoutDto;
    await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
    expect((await host.payouts.find(id)).status).toBe('unknown');
    const sent = (): number => host.simulator.requests.filter(({ endpoint }) => endpoint === 'payout').length;
    const asked = (): number => host.simulator.requests.filter(({ endpoint }) => endpoint === 'status').length;
    // It goes on being asked about, and is not sent again by that.
    const before = asked();
    await until(() => asked() >= before + 2);
    expect(sent()).toBe(1);
    await decideNow(host.payouts, id, { outcome: 'resubmit', reason: 'support: they never got it' });
    await host.until(id, 'paid');
    expect([sent(), host.simulator.accepted('held')]).toEqual([2, 1]);
    await host.stop();
  });

  it('is found after all where the provider shows it late, though a person was called', async () => {
    const host = await startApplication();
    host.simulator.script({ on: 'payout', drop: 'after', invisibleForMs: 2_500, notification: 'lost' });
    const { body } = await host
      .http()
      .post('/alikassa/payouts')
      .send(payload({ order_id: 'late' }));
    const { id } = body as PayoutDto;
    await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
    expect(host.simulator.accepted('late')).toBe(1);
    await host.until(id, 'paid');
    expect(await host.payouts.find(id)).toMatchObject({ attention: [], attempt: 1 });
    await host.stop();
  });

  describe("with onNotFound: 'resubmit'", () => {
    /** A provider that loses what it is sent as often as told, and then has it. */
    async function losing(times: number) {
      const bodies: { body: string; sign: unknown }[] = [];
      const server = http.createServer((request, response) => {
        void request.toArray().then((chunks) => {
          const isKnown = bodies.length > times;
          if (request.url === '/v1/payout/status') {
            response.statusCode = isKnown ? 200 : 404;
            return response.end(isKnown ? '{"payment_status":"paid","id":7,"order_id":"lost"}' : NOT_FOUND);
          }
          bodies.push({ body: Buffer.concat(chunks as Buffer[]).toString(), sign: request.headers['sign'] });
          if (bodies.length <= times) return request.socket.destroy();
          return response.end('{"payment_status":"wait","id":7}');
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return { bodies, baseUrl, close: () => new Promise((resolve) => server.close(resolve)) };
    }

    it('is sent again with the same order_id and the same bytes, once it was not found as often and as long as set', async () => {
      const provider = await losing(1);
      const host = await startApplication({ options: { onNotFound: 'resubmit', baseUrl: provider.baseUrl } });
      const { body } = await host
        .http()
        .post('/alikassa/payouts')
        .send(payload({ order_id: 'lost' }));
      const { id } = body as PayoutDto;
      await host.until(id, 'paid');
      expect(provider.bodies).toEqual([provider.bodies[0], provider.bodies[0]]);
      expect(JSON.parse(provider.bodies[0]?.body ?? '')).toMatchObject({ order_id: 'lost' });
      const back = (await host.payouts.events(id)).find(
        ({ toStatus, type }) => toStatus === 'queued' && type === 'check',
      );
      expect(back).toMatchObject({ fromStatus: 'unknown', detail: { outcome: 'not_found', resubmit: true } });
      await host.stop();
      await provider.close();
    });

    it('is held after as many attempts as are allowed', async () => {
      const provider = await losing(100);
      const options = { onNotFound: 'resubmit', baseUrl: provider.baseUrl, maxResubmissions: 2 } as const;
      const host = await startApplication({ options });
      const { body } = await host
        .http()
        .post('/alikassa/payouts')
        .send(payload({ order_id: 'lost' }));
      const { id } = body as PayoutDto;
      await until(async () => (await host.payouts.find(id)).attention.includes('not_found'));
      expect([(await host.payouts.find(id)).status, provider.bodies.length]).toEqual(['unknown', 2]);
      await host.stop();
      await provider.close();
    });
  });
});
