import type { ProviderStatus } from '../../provider/provider.types.js';
import type { Alarm } from '../attention.js';
import type { Payout } from '../payout.entity.js';
import { maybeSent } from './decision.js';

/** A provider with a fault may say something new each time: what is kept of it has an end, and its alarm stands. */
const MOST = 50;

/** Further ids that one check asks about. */
const MOST_QUESTIONS = 5;

type Known = Pick<Payout, 'heard' | 'providerId'>;

/** What was heard, and one more; the last word stands last, also where it was heard before. */
export function withHeard(heard: readonly string[], said: string): string[] {
  const others = heard.filter((one) => one !== said);
  return others.length >= MOST ? [...heard] : [...others, said];
}

/** Whether it was not heard before. Beyond what is kept, it is news only where its alarm does not stand. */
export function isNews({ heard, attention }: Pick<Payout, 'heard' | 'attention'>, said: string, alarm: Alarm): boolean {
  return !heard.includes(said) && (heard.length < MOST || !attention.includes(alarm));
}

export function idHeard(id: string, status: ProviderStatus): string {
  return `${id}:${status}`;
}

/** Every id that the provider has named for the payout, with the last status that was heard of each, if any; `paid` stays. */
export function idsOf({ heard, providerId }: Known): Map<string, string | undefined> {
  const ids = new Map<string, string | undefined>();
  if (providerId !== null) ids.set(providerId, undefined);
  for (const one of heard) {
    const [, id, status] = /^([0-9]+):([a-z]+)$/.exec(one) ?? [];
    if (id !== undefined && ids.get(id) !== 'paid') ids.set(id, status);
  }
  return ids;
}

/**
 * Ids beside the payout's own of which no end was heard, or a payment that the payout's status does not tell: they are asked
 * about too, so that no person fails unaware what was paid.
 * @param to the status that the payout takes.
 */
export function idsToFollow(payout: Known & Pick<Payout, 'status'>, to = payout.status): string[] {
  const isOpen = (status = 'wait'): boolean => status === 'wait' || (status === 'paid' && to !== 'paid');
  return [...idsOf(payout)].filter(([id, status]) => id !== payout.providerId && isOpen(status)).map(([id]) => id);
}

/** The status call's question, by the merchant's order_id or the provider's id. */
export type Question = { order_id: string } | { id: string };

/**
 * What to ask the provider about a payout: by its own id where that is known, since an order_id may stand for more than one
 * of its records (PROVIDER.md, "Create a payout"). With several attempts by order too, and by every id of which no end
 * was heard. Only what the first one does not find counts as not found.
 */
export function questionsFor(payout: Payout): [Question, ...Question[]] {
  const { orderId, providerId } = payout;
  const others = idsToFollow(payout)
    .slice(0, MOST_QUESTIONS)
    .map((id) => ({ id }));
  if (providerId === null) return [{ order_id: orderId }, ...others];
  return [{ id: providerId }, ...(maybeSent(payout) > 1 ? [{ order_id: orderId }] : []), ...others];
}

/**
 * Whether so many attempts are known to have failed, each under an id of its own, and every further id too: the provider may
 * know one attempt by two, and pay by either.
 */
export function allFailed(payout: Known, attempts: number): boolean {
  const ends = [...idsOf(payout).values()];
  return ends.length >= attempts && ends.every((status) => status === 'fail' || status === 'cancel');
}
