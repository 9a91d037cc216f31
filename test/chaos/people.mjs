import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from './random.mjs';

/** Longer than a decision may take that asks the provider first. */
const ANSWER_MS = 4_000;
const ROUND_MS = 500;
/** Payouts that are being decided on at the same time. */
const AT_ONCE = 8;
const TRIES = 8;
const NAMES = ['anna', 'boris'];
/** Alarms about something that was heard, which a person closes. */
const CLOSABLE = ['paid_in_part', 'known_to_provider_before_sent', 'late_answer'];
const LISTS = ['status=unknown&limit=100', 'status=wait&limit=100', 'status=paid&limit=30', 'status=queued&limit=20'];

/**
 * Two people who look at payouts and at the provider's books, think for a while, and decide on what they saw: often both on
 * the same payout, at the same time, and word for word several times. What was answered is the truth that the history is
 * held against.
 */
export class People {
  /** `{ payoutId, orderId, outcome, revision, reason, seenAt, answers }`; an answer is `{ status, code, sentAt, at }`. */
  decisions = [];
  busy = new Set();
  /** How often each payout was looked at. */
  times = new Map();

  /**
   * @param {string[]} urls of the processes
   * @param {import('./provider.watch.mjs').ProviderWatch} watch
   * @param {string} seed
   */
  constructor(urls, watch, seed) {
    this.urls = urls;
    this.watch = watch;
    this.seed = seed;
    this.random = new Random(`${seed} people`);
  }

  /** Works until told to stop, and to the end of what was begun. */
  async work(stop) {
    while (!stop.aborted) {
      const [first, second, ...others] = LISTS;
      // What waits for a person is looked at each time, anything else now and then.
      const lists = [first, second, this.random.pick(others)];
      for (const list of lists) {
        const page = await this.get(`payouts?${list}`);
        const payouts = (page?.body.data ?? []).filter((payout) => this.mayMatter(payout));
        for (let room = AT_ONCE - this.busy.size; room > 0 && payouts.length > 0; room -= 1) {
          const [payout] = payouts.splice(this.random.between(0, payouts.length - 1), 1);
          this.busy.add(payout.id);
          void this.handle(payout, stop).finally(() => this.busy.delete(payout.id));
        }
      }
      await sleep(ROUND_MS, undefined, { signal: stop }).catch(() => undefined);
    }
    while (this.busy.size > 0) await sleep(50);
  }

  /** Some payouts nobody ever decides on: the machine must keep asking about them. */
  mayMatter({ id, order_id, status, attention }) {
    if (this.busy.has(id)) return false;
    if (status === 'queued') return this.random.chance(0.1);
    if (attention.includes('not_found')) return new Random(`${this.seed} ${order_id}`).chance(0.7);
    return attention.length > 0;
  }

  /** One or both of them look at the payout, each at a moment of their own. */
  async handle({ id, order_id }, stop) {
    const times = (this.times.get(id) ?? 0) + 1;
    this.times.set(id, times);
    // A stream for each look at an order, so that how long others took shifts nothing.
    const random = new Random(`${this.seed} ${order_id} ${times}`);
    const names = random.chance(0.7) ? NAMES : [random.pick(NAMES)];
    const plans = names.map((name) => ({ name, plan: this.plan(random) }));
    await Promise.all(
      plans.map(async ({ name, plan }) => {
        await sleep(plan.lookMs);
        const seenAt = performance.now();
        const seen = await this.get(`payouts/${id}`);
        if (!seen?.etag) return;
        const { outcome, attention } = this.choose(seen.body, plan) ?? {};
        if (!outcome) return;
        await sleep(plan.thinkMs, undefined, { signal: stop }).catch(() => undefined);
        await this.decide({ name, seen, seenAt, outcome, attention, plan });
      }),
    );
  }

  plan(random) {
    return {
      lookMs: random.between(0, 400),
      thinkMs: random.chance(0.6) ? random.between(0, 300) : random.between(300, 5_000),
      isFail: random.chance(0.5),
      copies: random.pick([1, 1, 2, 3]),
      repeatMs: random.chance(0.4) ? random.between(0, 4_000) : null,
      first: random.between(0, this.urls.length - 1),
    };
  }

  /** What is right by the payout and by what the provider's books say at this moment. */
  choose({ order_id, status, attention }, { isFail }) {
    const theirs = this.watch.look(order_id);
    if (status === 'queued') return { outcome: 'withdraw' };
    const isAbsent = theirs.status === undefined && !theirs.isOnItsWay;
    if (status === 'unknown' && attention.includes('not_found') && isAbsent) {
      return { outcome: isFail ? 'fail' : 'resubmit' };
    }
    const hasFailed = theirs.status === 'fail' || theirs.status === 'cancel';
    // One attempt never arrived, the other one has failed.
    if (attention.includes('attempts_unaccounted')) return hasFailed && !theirs.isOnItsWay ? { outcome: 'fail' } : null;
    const closed = attention.filter((alarm) => CLOSABLE.includes(alarm));
    return closed.length > 0 && status !== 'sending' ? { outcome: 'acknowledge', attention: closed } : null;
  }

  async decide({ name, seen, seenAt, outcome, attention, plan }) {
    const { id, order_id, revision } = seen.body;
    const reason = `${name}, ${this.decisions.length + 1}`;
    const decision = { payoutId: id, orderId: order_id, outcome, revision, reason, seenAt, answers: [] };
    this.decisions.push(decision);
    const isWithdrawal = outcome === 'withdraw';
    const request = {
      path: `payouts/${id}/${isWithdrawal ? 'withdraw' : 'resolve'}`,
      etag: seen.etag,
      body: isWithdrawal ? undefined : JSON.stringify({ outcome, reason, ...(attention ? { attention } : {}) }),
    };
    const copies = Array.from({ length: plan.copies }, (_, index) => plan.first + index);
    await Promise.all(copies.map((at) => this.send(decision, request, at)));
    if (plan.repeatMs === null) return;
    await sleep(plan.repeatMs);
    await this.send(decision, request, plan.first);
  }

  /** Sends the same words until they are answered. */
  async send(decision, request, first) {
    for (let at = first; at < first + TRIES; at += 1) {
      const sentAt = performance.now();
      const answer = await this.post(this.urls[at % this.urls.length], request);
      decision.answers.push({ status: answer?.status ?? 0, code: answer?.body.code, sentAt, at: performance.now() });
      if (answer && answer.status < 500) return;
      await sleep(500);
    }
  }

  async get(path) {
    return this.ask(`${this.random.pick(this.urls)}/alikassa/${path}`, {}).then((answer) =>
      answer?.status === 200 ? answer : undefined,
    );
  }

  async post(url, { path, etag, body }) {
    const headers = { 'if-match': etag, ...(body ? { 'content-type': 'application/json' } : {}) };
    return this.ask(`${url}/alikassa/${path}`, { method: 'POST', headers, body });
  }

  /** @returns undefined where there was no answer, or only a part of one. */
  async ask(url, options) {
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(ANSWER_MS) });
      return { status: response.status, etag: response.headers.get('etag'), body: await response.json() };
    } catch {
      return undefined;
    }
  }
}
