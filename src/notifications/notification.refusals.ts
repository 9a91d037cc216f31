import { Logger } from '@nestjs/common';
import { instruments } from '../instrumentation/instruments.js';

/** Why a notification was refused. `overload`: it was not looked at. */
export type RefusalReason = 'mismatch' | 'malformed' | 'overload';

const QUIET_MS = 10_000;
const WORDS: Readonly<Record<RefusalReason, string>> = {
  mismatch: 'bad signature',
  malformed: 'malformed',
  overload: 'not looked at, for there were too many',
};

/** Counts refused notifications; logs the first at once, and what follows in one line per 10 s at most. */
export class NotificationRefusals {
  private readonly logger = new Logger('AliKassaNotifications');
  private readonly counts: Record<RefusalReason, number> = { mismatch: 0, malformed: 0, overload: 0 };
  private logged = { ...this.counts };
  private quiet?: NodeJS.Timeout;

  /** @param instance whose notifications they are. */
  constructor(private readonly instance: string) {}

  count(reason: RefusalReason): void {
    this.counts[reason] += 1;
    instruments().notifications.add(1, {
      'alikassa.instance': this.instance,
      'alikassa.notification.result': reason,
    });
    if (!this.quiet) this.log();
  }

  /** How many since the start, by reason. */
  get totals(): Readonly<Record<RefusalReason, number>> {
    return { ...this.counts };
  }

  private log(): void {
    const news = (Object.keys(WORDS) as RefusalReason[])
      .map((reason) => ({ reason, count: this.counts[reason] - this.logged[reason] }))
      .filter(({ count }) => count > 0);
    this.quiet = undefined;
    if (news.length === 0) return;
    const total = news.reduce((sum, { count }) => sum + count, 0);
    const parts = news.map(({ reason, count }) => `${count.toLocaleString('en-US')} ${WORDS[reason]}`);
    const subject = total === 1 ? '1 notification was' : `${total.toLocaleString('en-US')} notifications were`;
    this.logger.warn(`${subject} refused: ${parts.join(', ')}.`);
    this.logged = { ...this.counts };
    this.quiet = setTimeout(() => this.log(), QUIET_MS).unref();
  }
}
