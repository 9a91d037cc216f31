import type { Payout } from '../../src/payouts/payout.entity.js';
import { questionsFor } from '../../src/payouts/decision/heard.js';
import {
  acceptedAs,
  after,
  changed,
  checked,
  CLAIMED,
  next,
  NOW,
  payout,
  run,
  sending,
  submitted,
  TOKEN,
  unknown,
  waiting,
} from '../helpers/decisions.js';

/** Of an attempt that no longer holds the payout. */
const OLD = '3d2b4a3e-6f0a-4a5e-9a44-0000000000ff';

describe('a claim whose answer was lost', () => {
  it('is found done by its token', () => {
    expect(run(sending(), CLAIMED)).toBeNull();
  });

  it('is not taken for another one', () => {
    expect(() => run(sending({ attemptToken: OLD }), CLAIMED)).toThrow('only a queued one');
    expect(() => run(unknown({ attemptToken: TOKEN }), CLAIMED)).toThrow('only a queued one');
  });
});

describe('an attempt that no longer holds the payout', () => {
  const late = (row: Payout, outcome: object, isForeignId = false) =>
    submitted(row, outcome, { attempt: 1, token: OLD, isForeignId });

  it.each(['unclear', 'never_sent', 'unauthorized', 'rate_limited', 'refused'])('writes nothing: %s', (kind) => {
    const outcome = { kind, message: '', errors: {} };
    for (const row of [sending({ attempt: 2 }), unknown(), waiting(), payout(), payout({ status: 'fail' })]) {
      expect(late(row, outcome)).toBeNull();
    }
  });

  it('with the number of the one that holds it is not taken for that one', () => {
    expect(late(sending(), { kind: 'never_sent' })).toBeNull();
  });

  it('was accepted: the id is kept, and the payout is followed', () => {
    expect(late(unknown({ attention: ['not_found'] }), acceptedAs('9'))).toMatchObject({
      to: 'wait',
      set: { providerId: '9', possiblySent: true, attention: [], notFoundCount: 0, notFoundSince: null, checkCount: 0 },
      next: { task: 'check' },
      event: { type: 'submission', detail: { provider_id: '9', late_attempt: 1 } },
    });
  });

  it('was accepted though the payout is to be sent again: it is not, and a person is called', () => {
    expect(late(payout({ attempt: 1, possiblySent: true }), acceptedAs('9'))).toMatchObject({
      to: 'wait',
      set: { providerId: '9', attention: ['late_answer'] },
    });
  });

  it('was accepted while another one is on its way: kept, followed, and a person is called', () => {
    const decision = late(sending({ attempt: 2, possiblySent: true }), acceptedAs('9'));
    expect(decision).toMatchObject({
      to: 'sending',
      set: { heard: ['9:wait'], attention: ['late_answer'] },
      next: 'keep',
    });
    const row = next(sending({ attempt: 2, possiblySent: true }), decision);
    expect(submitted(row, acceptedAs('10'), { attempt: 2 })).toMatchObject({ to: 'wait', set: { providerId: '10' } });
    // The version before raises the number and keeps the token.
    expect(submitted(row, { kind: 'never_sent' })).toBeNull();
    expect(questionsFor(changed(row, { providerId: '10' }))).toEqual([{ id: '10' }, { order_id: 'A-1' }, { id: '9' }]);
  });

  it('was accepted under another id than the one that is known: a conflict, and both are asked about', () => {
    for (const row of [waiting(), unknown({ providerId: '7' })]) {
      const decision = late(row, acceptedAs('9'));
      expect(decision).toMatchObject({
        to: row.status,
        set: { heard: ['9:wait'], attention: ['conflict_provider_id'] },
        next: { task: 'check' },
      });
      expect(questionsFor(next(row, decision))).toContainEqual({ id: '9' });
    }
  });

  it.each(['fail', 'rejected', 'paid'] as const)(
    'was accepted after the payout has ended as %s: asked about, and a person is called',
    (status) => {
      expect(late(payout({ status, attempt: 1 }), acceptedAs('9'))).toMatchObject({
        to: status,
        set: { heard: ['9:wait'], attention: ['late_answer'] },
        next: { task: 'check' },
      });
    },
  );

  it('was accepted under the id that is known: nothing new', () => {
    expect(late(waiting(), acceptedAs('7'))).toBeNull();
    expect(late(payout({ status: 'paid', providerId: '7' }), acceptedAs('7'))).toBeNull();
    expect(late(sending({ heard: ['9:wait'] }), acceptedAs('9'))).toBeNull();
  });

  it('was accepted under an id of another payout: a conflict that moves nothing', () => {
    const decision = late(unknown(), acceptedAs('9'), true);
    expect(decision).toMatchObject({
      to: 'unknown',
      set: { heard: ['provider_id=9'], attention: ['conflict_provider_id'] },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
    expect(late(next(unknown(), decision), acceptedAs('9'), true)).toBeNull();
  });

  it('keeps a queued payout from being sent where the id is of another one', () => {
    expect(late(payout({ attempt: 1 }), acceptedAs('9'), true)).toMatchObject({
      to: 'queued',
      set: { possiblySent: true, attention: ['conflict_provider_id'] },
      next: null,
    });
  });
});

describe('an attempt that lost its lease and proves afterwards that it was never sent', () => {
  it('is counted as that, once, and the payout stays unknown', () => {
    const row = unknown({ attemptToken: TOKEN });
    const decision = submitted(row, { kind: 'never_sent' });
    expect(decision).toMatchObject({ to: 'unknown', set: { unsentTotal: 1, attemptToken: null }, next: 'keep' });
    expect(decision?.event).toMatchObject({ type: 'submission', detail: { outcome: 'never_sent' } });
    expect(submitted(next(row, decision), { kind: 'never_sent' })).toBeNull();
    expect(submitted(row, { kind: 'unclear' })).toBeNull();
    expect(submitted(waiting({ attemptToken: TOKEN }), { kind: 'never_sent' })).toBeNull();
  });

  it('leads back to the queue once the provider confirms that it has nothing', () => {
    const row = unknown({ unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW });
    expect(checked(row, { kind: 'not_found' }, { now: after(120_000) })).toMatchObject({
      to: 'queued',
      next: { task: 'submit' },
      event: { detail: { never_sent: true } },
    });
    const other = unknown({ attempt: 2, unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW });
    expect(checked(other, { kind: 'not_found' }, { now: after(120_000) })?.to).toBe('unknown');
  });

  it('but not where the provider has spoken of the payout', () => {
    for (const changes of [
      { providerId: '7' },
      { heard: ['9:wait'] },
      { attention: ['late_answer'] },
    ] as Partial<Payout>[]) {
      const row = unknown({ unsentTotal: 1, notFoundCount: 1, notFoundSince: NOW, ...changes });
      expect(checked(row, { kind: 'not_found' }, { now: after(120_000) })?.to).toBe('unknown');
    }
  });
});

describe('an acceptance', () => {
  it('under the id that an early notification named: no conflict', () => {
    expect(submitted(sending({ providerId: '7' }), acceptedAs('7'))?.set).toMatchObject({ providerId: '7' });
    expect(submitted(sending({ providerId: '7' }), acceptedAs('7'))?.set.attention).toBeUndefined();
  });

  it('under another id than an early notification named: waits, and a person is called', () => {
    const row = sending({ providerId: '7' });
    const decision = submitted(row, acceptedAs('9'));
    expect(decision).toMatchObject({
      to: 'wait',
      set: { heard: ['9:wait'], attention: ['conflict_provider_id'], possiblySent: true },
      next: { task: 'check' },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
  });

  it('under an id of another payout proves nothing: unknown, and a person is called', () => {
    const decision = submitted(sending(), acceptedAs('9'), { isForeignId: true });
    expect(decision).toMatchObject({
      to: 'unknown',
      set: { heard: ['provider_id=9'], attention: ['conflict_provider_id'], possiblySent: true },
      next: { task: 'check' },
    });
    expect(decision?.set).not.toHaveProperty('providerId');
  });
});
