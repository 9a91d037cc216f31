import { startSimulator, type ProviderCaller } from './provider.caller.js';

describe('scripted faults of the simulator', () => {
  let caller: ProviderCaller;

  beforeEach(async () => {
    caller = await startSimulator();
  });
  afterEach(() => caller.simulator.stop());

  it('drop before: resets the connection and records nothing', async () => {
    caller.simulator.script({ on: 'payout', drop: 'before' });
    await expect(caller.create('gone')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(caller.simulator.accepted('gone')).toBe(0);
  });

  it('drop after: resets the connection once the payout is recorded', async () => {
    caller.simulator.script({ on: 'payout', drop: 'after' });
    await expect(caller.create('kept')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(caller.simulator.accepted('kept')).toBe(1);
  });

  it('answer: replaces the answer to a payout that is recorded', async () => {
    caller.simulator.script({ on: 'payout', answer: { status: 502, body: '{"message":"Bad Gateway"}' } });
    expect(await caller.create('answered')).toEqual({ status: 502, body: { message: 'Bad Gateway' } });
    expect(caller.simulator.accepted('answered')).toBe(1);
  });

  it('accept false: the answer comes and nothing is recorded', async () => {
    caller.simulator.script({ on: 'payout', accept: false, answer: { status: 503 } });
    expect((await caller.create('not-kept')).status).toBe(503);
    expect(caller.simulator.accepted('not-kept')).toBe(0);
  });

  it('raw: half an answer is an error of the connection', async () => {
    caller.simulator.script({ on: 'payout', raw: 'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"payment' });
    await expect(caller.create('half')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(caller.simulator.accepted('half')).toBe(1);
  });

  it('hold: the payout is recorded while its answer waits', async () => {
    let release: () => void = () => undefined;
    caller.simulator.script({ on: 'payout', hold: new Promise<void>((resolve) => (release = resolve)) });
    let isAnswered = false;
    const reply = caller.create('held').finally(() => (isAnswered = true));
    while (caller.simulator.accepted('held') === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isAnswered).toBe(false);
    release();
    expect((await reply).status).toBe(200);
  });

  it('stall: stop ends a request that is never answered', async () => {
    caller.simulator.script({ on: 'payout', stall: true });
    const reply = caller.create('silent').then(
      () => 'answered',
      () => 'cut off',
    );
    while (caller.simulator.accepted('silent') === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await caller.simulator.stop();
    expect(await reply).toBe('cut off');
  });

  it('delayMs: nothing is done before it is over', async () => {
    caller.simulator.script({ on: 'status', delayMs: 80 });
    const started = performance.now();
    await caller.status('nobody');
    expect(performance.now() - started).toBeGreaterThanOrEqual(75);
  });

  it('meets only its call and its order, as often as it says', async () => {
    const teapot = { answer: { status: 418 } };
    caller.simulator.script({ on: 'status', orderId: 'mine', times: 2, ...teapot });
    expect((await caller.create('mine')).status).toBe(200);
    expect((await caller.status('other')).status).toBe(400);
    expect((await caller.status('mine')).status).toBe(418);
    expect((await caller.status('mine')).status).toBe(418);
    expect((await caller.status('mine')).status).toBe(200);
  });
});
