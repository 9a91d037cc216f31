import request from 'supertest';
import type { PayoutDto } from '../../src/payouts/payout.dto.js';
import { freePort } from '../../src/app/free.port.js';
import { prepare, type TestSetup, type TestSurroundings } from './application.js';
import { eventually } from './until.js';
import { startHostProcess, type HostProcess } from './host.js';
import { payload } from './payload.js';
import { create, latch, type Accepted } from './payout.checks.js';

export interface Host extends HostProcess {
  http(): ReturnType<typeof request>;
}

/** Accepted by the provider, whose answer is held until `letGo`. */
export interface InFlight extends Accepted {
  letGo: () => void;
}

/** Two application processes on one database; notifications go to the first. */
export interface TwoHosts extends TestSurroundings {
  hosts: [Host, Host];
  /** Submissions in flight, created at both in turn. */
  submit(count: number): Promise<InFlight[]>;
  /** Waits until each is paid. @returns how often the provider has accepted each. */
  paid(payouts: Accepted[]): Promise<number[]>;
}

export async function startTwoHosts(setup: TestSetup): Promise<TwoHosts> {
  const around = await prepare(setup);
  const { database, options, simulator } = around;
  const ports = [around.port, await freePort()];
  const [one, two] = (await Promise.all(
    ports.map((port) => startHostProcess({ databaseUrl: database.url, port, options })),
  )) as [HostProcess, HostProcess];
  const reachable = (host: HostProcess): Host => ({ ...host, http: () => request(host.url) });
  const hosts: [Host, Host] = [reachable(one), reachable(two)];

  const submitOne = async (host: Host): Promise<InFlight> => {
    const body = payload();
    const { held, letGo } = latch();
    simulator.script({ on: 'payout', orderId: String(body['order_id']), hold: held });
    const payout = await create(host, body);
    await eventually('the provider has it', () => simulator.accepted(payout.orderId) === 1);
    return { ...payout, letGo };
  };
  const paidOne = async ({ id, orderId }: Accepted): Promise<number> => {
    await eventually(`payout ${id} is paid`, async () => {
      const { body } = (await hosts[0].http().get(`/alikassa/payouts/${id}`)) as { body: PayoutDto };
      return body.status === 'paid';
    });
    return simulator.accepted(orderId);
  };
  return {
    ...around,
    hosts,
    submit: (count) =>
      Promise.all(Array.from({ length: count }, (_, index) => submitOne(index % 2 ? hosts[1] : hosts[0]))),
    paid: (payouts) => Promise.all(payouts.map(paidOne)),
    stop: async () => {
      await Promise.all(hosts.map((host) => host.kill('SIGTERM')));
      await around.stop();
    },
  };
}
