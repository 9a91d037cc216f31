import fc from 'fast-check';
import { isSendable } from '../../src/payouts/payout.unsent.js';
import type { ProviderOutcome } from '../../src/provider/provider.types.js';
import { submitOutcome, type StatusFate, type SubmitFate } from './model.provider.js';
import { TIMEOUT_MS, type World } from './world.js';

/** One step that somebody may take at any moment. */
type Step = (world: World) => Promise<unknown>;

class Command implements fc.AsyncCommand<object, World> {
  constructor(
    private readonly name: string,
    private readonly step: Step,
  ) {}

  check(): boolean {
    return true;
  }

  /** Whatever was done, every rule holds afterwards. */
  async run(_model: object, world: World): Promise<void> {
    const before = await world.machine.read();
    await this.step(world);
    await world.check(before);
  }

  toString(): string {
    return this.name;
  }
}

const UNSENT: ProviderOutcome<never> = { kind: 'never_sent', reason: 'model', phase: 'none', durationMs: 1 };

const claim =
  (at: number): Step =>
  async (world) => {
    if (world.workers[at] || !isSendable(await world.machine.read())) return;
    const claimedAt = await world.machine.now();
    if (!(await world.settle({ type: 'claimed' }))) return;
    const { attempt, status } = await world.machine.read();
    if (status === 'sending') world.workers[at] = { attempt, at: 'claimed', claimedAt };
  };

/** The bytes leave, unless the worker was held up past its lease or the network is away. */
const send =
  (at: number, leaves: boolean): Step =>
  async ({ workers, machine, provider }) => {
    const work = workers[at];
    if (work?.at !== 'claimed') return;
    const isHeldUp = (await machine.now()) - work.claimedAt > machine.policy.leaseMs - TIMEOUT_MS;
    if (isHeldUp) workers[at] = null;
    else if (leaves) workers[at] = { attempt: work.attempt, at: 'sent', request: provider.send() };
    else workers[at] = { attempt: work.attempt, at: 'answered', outcome: UNSENT };
  };

const answer =
  (at: number, fate: SubmitFate): Step =>
  async ({ workers, machine, provider }) => {
    const work = workers[at];
    if (work?.at !== 'sent') return;
    // `late`: the request stays on its way, and the provider may act on it at any time.
    const record =
      fate.acts === 'late' ? null : provider.act(work.request, fate.acts === 'accepts', await machine.now());
    const said = fate.acts === 'late' ? 'unclear' : provider.answerTo(fate, record);
    workers[at] = { attempt: work.attempt, at: 'answered', outcome: submitOutcome(said, record) };
  };

const settle =
  (at: number): Step =>
  async (world) => {
    const work = world.workers[at];
    if (work?.at !== 'answered') return;
    world.workers[at] = null;
    const before = await world.machine.read();
    await world.settle({ type: 'submission', attempt: work.attempt, outcome: work.outcome });
    const isLate = before.status !== 'sending' || before.attempt !== work.attempt;
    const { revision } = await world.machine.read();
    if (isLate && revision !== before.revision) throw new Error('a late write of an attempt changed the payout');
  };

const ask =
  (at: number, fate: StatusFate): Step =>
  async ({ answers, machine, provider }) => {
    const row = await machine.read();
    if (row.attempt > 0) answers[at] = provider.status(row.providerId, fate, await machine.now());
  };

/** The answer may be old by now. */
const settleCheck =
  (at: number): Step =>
  async (world) => {
    const outcome = world.answers[at];
    world.answers[at] = null;
    if (outcome) await world.settle({ type: 'check', outcome });
  };

const sweep: Step = (world) => world.settle({ type: 'lease_expired' });

const notify =
  (which: number, isMixedUp: boolean): Step =>
  async (world) => {
    const said = world.provider.said[which % Math.max(1, world.provider.said.length)];
    if (said) await world.settle({ type: 'notification', facts: world.provider.facts(said, isMixedUp) });
  };

const racing = (one: 'claimed' | 'withdrawal', other: 'claimed' | 'withdrawal'): Step => {
  const evidence = (type: typeof one) => (type === 'claimed' ? { type } : { type, actor: 'host' });
  return async (world) => {
    // Whoever claims here has crashed before it could send.
    if (isSendable(await world.machine.read())) await world.machine.race(evidence(one), evidence(other));
  };
};

const all =
  (...steps: Step[]): Step =>
  async (world) => {
    for (const step of steps) await step(world);
  };
/** A whole attempt, as most of them go: what is rare in it comes from the single steps. */
const attempt = (at: number, fate: SubmitFate, leaves: boolean): Step =>
  all(claim(at), send(at, leaves), answer(at, fate), settle(at));
const poll = (at: number, fate: StatusFate, afterMs: number): Step =>
  all((world) => world.machine.advance(afterMs), ask(at, fate), settleCheck(at));

const worker = fc.nat({ max: 1 });
const mostly = fc.constantFrom(true, true, true, false);
const submitFate: fc.Arbitrary<SubmitFate> = fc.constantFrom(
  { acts: 'accepts', answer: 'ok' } as const,
  { acts: 'accepts', answer: 'ok' } as const,
  { acts: 'accepts', answer: 'unclear' } as const,
  { acts: 'accepts', answer: 'unauthorized' } as const,
  { acts: 'accepts', answer: 'rate_limited' } as const,
  { acts: 'ignores', answer: 'unclear' } as const,
  { acts: 'ignores', answer: 'refused' } as const,
  { acts: 'ignores', answer: 'order_taken' } as const,
  { acts: 'ignores', answer: 'unauthorized' } as const,
  { acts: 'ignores', answer: 'rate_limited' } as const,
  { acts: 'late', answer: 'unclear' } as const,
);
const statusFate = fc.constantFrom<StatusFate>(
  'true',
  'true',
  'true',
  'lagging',
  'other_amount',
  'other_order',
  'unclear',
  'unauthorized',
  'rate_limited',
  'never_sent',
);
const command = <T>(name: string, arbitrary: fc.Arbitrary<T>, step: (value: T) => Step): fc.Arbitrary<Command> =>
  arbitrary.map((value) => new Command(`${name}(${JSON.stringify(value)})`, step(value)));

/** Everything that may happen to a payout, in any order. */
export function payoutCommands(maxCommands: number) {
  return fc.commands(
    [
      command('attempt', fc.tuple(worker, submitFate, mostly), ([at, fate, leaves]) => attempt(at, fate, leaves)),
      command('attemptAgain', fc.tuple(worker, submitFate, mostly), ([at, fate, leaves]) => attempt(at, fate, leaves)),
      command('poll', fc.tuple(worker, statusFate, fc.constantFrom(0, 61_000, 130_000)), ([at, fate, ms]) =>
        poll(at, fate, ms),
      ),
      command(
        'pollAgain',
        fc.tuple(worker, fc.constant('true' as const), fc.constantFrom(61_000, 130_000)),
        ([at, fate, ms]) => poll(at, fate, ms),
      ),
      command('claim', worker, claim),
      command('send', fc.tuple(worker, mostly), ([at, leaves]) => send(at, leaves)),
      command('answer', fc.tuple(worker, submitFate), ([at, fate]) => answer(at, fate)),
      command('settle', worker, settle),
      command(
        'crash',
        worker,
        (at) =>
          async ({ workers }) =>
            (workers[at] = null),
      ),
      command('ask', fc.tuple(worker, statusFate), ([at, fate]) => ask(at, fate)),
      command('settleCheck', worker, settleCheck),
      command('sweep', fc.constant(null), () => sweep),
      command('notify', fc.tuple(fc.nat({ max: 5 }), fc.constantFrom(false, false, false, true)), ([which, mixed]) =>
        notify(which, mixed),
      ),
      command('providerActsLate', fc.boolean(), (accepts) => async ({ provider, machine }) => {
        const [request] = provider.onWire;
        // A request that its own worker still waits for is answered, not late.
        if (request) provider.act(request, accepts, await machine.now());
      }),
      command(
        'providerEnds',
        fc.tuple(fc.nat({ max: 1 }), fc.constantFrom('paid', 'paid', 'cancel', 'fail')),
        ([at, status]) =>
          async ({ provider }) =>
            provider.end(at, status),
      ),
      command('person', fc.constantFrom('resubmit', 'paid', 'fail'), (outcome) => async (world) => {
        await world.settle({ type: 'person', outcome, reason: 'model' });
      }),
      command('withdraw', fc.constant(null), () => (world) => world.settle({ type: 'withdrawal' })),
      command('paused', fc.constantFrom('unauthorized', 'rate_limited'), (reason) => async (world) => {
        await world.settle({ type: 'paused', reason, afterMs: 60_000 });
      }),
      command(
        'race',
        fc.tuple(fc.constantFrom('claimed', 'withdrawal'), fc.constantFrom('claimed', 'withdrawal')),
        ([one, other]) => racing(one, other),
      ),
      command('repeat', fc.constant(null), () => (world) => world.machine.repeat()),
      command(
        'advance',
        fc.constantFrom(1_000, 40_000, 61_000, 130_000, 90_000_000),
        (ms) => (world) => world.machine.advance(ms),
      ),
    ],
    { maxCommands, size: 'max' },
  );
}
