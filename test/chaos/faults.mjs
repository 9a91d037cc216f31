import { setTimeout as sleep } from 'node:timers/promises';

/** How long a claim is waited for, to stop a process right after it. */
const CLAIM_MS = 500;

/** How long what is on its way to the provider, or to the database, may need to arrive. */
const ARRIVAL_MS = 150;

/** Kills and freezes processes, one every second or two, until told to stop; then all run again. */
export async function disturbProcesses({ hosts, database, watch, leaseMs, counts }, random, stop) {
  const thaws = [];
  while (await pause(random.between(1_000, 2_000), stop)) {
    const preferred = random.pick(hosts);
    const mayFreeze = random.chance(0.5);
    // Mostly past the lease; with a payout in its hands that it has not sent, until people have decided on that.
    const usualMs = Math.round(leaseMs * (random.chance(0.15) ? 0.4 : 1.1 + 1.2 * random.next()));
    const caughtMs = Math.round(leaseMs * (random.chance(0.3) ? 1.1 : 5 + 2 * random.next()));
    const isAtClaim = random.chance(0.75);
    const isHastyKill = random.chance(0.2);
    const mayEndLast = random.chance(0.3);
    // One that is only just starting, or the last one up, is spared most of the time, or nothing would ever be running.
    if (hosts.filter(({ state }) => state === 'up').length < 2 && !mayEndLast) continue;
    const host = preferred.state === 'up' || isHastyKill ? preferred : hosts.find(({ state }) => state === 'up');
    if (!host) continue;
    if (host.state === 'up' && mayFreeze && hosts.every(({ state }) => state !== 'frozen')) {
      // Postgres may be away: then at any moment.
      if (isAtClaim) await database.untilClaimed(CLAIM_MS).catch(() => undefined);
      if (host.state !== 'up') continue;
      host.freeze();
      counts.frozen += 1;
      await sleep(ARRIVAL_MS);
      const isCaught = (await database.claimed().catch(() => [])).some((orderId) => !watch.hasArrived(orderId));
      if (isCaught) counts.caught += 1;
      thaws.push(
        sleep(isCaught ? caughtMs : usualMs, undefined, { signal: stop }).then(
          () => host.thaw(),
          () => host.thaw(),
        ),
      );
    } else if (host.state === 'up' || host.state === 'starting') {
      host.kill();
      counts.killed += 1;
    }
  }
  await Promise.all(thaws);
}

/**
 * Ends, kills and cuts off Postgres, every few seconds, until told to stop; then it runs again.
 * @param {number[]} promotions when the next such fault is that a standby takes its place, in milliseconds from now.
 * @param onLoss is told when what was acknowledged may have been lost.
 */
export async function disturbPostgres({ database, counts, report, promotions, onLoss }, random, stop) {
  const startedAt = performance.now();
  const due = [...promotions];
  const failOver = async () => {
    due.shift();
    const lagMs = random.between(300, 2_500);
    counts.promoted += 1;
    report(`Postgres: a standby that lacks the last ${lagMs} ms takes its place`);
    onLoss(await database.failOver(lagMs));
    report('Postgres: promoted');
  };
  while (await pause(random.between(3_000, 7_000), stop)) {
    const how = random.pick(['SIGINT', 'SIGQUIT', 'SIGKILL', 'crash', 'cut']);
    const awayMs = random.between(0, 1_500);
    if (due.length > 0 && performance.now() - startedAt > due[0]) {
      await failOver();
      continue;
    }
    counts.postgres += 1;
    report(`Postgres: ${how}`);
    if (how === 'crash' || how === 'cut') await database[how]().catch((error) => report(`Postgres: ${error.message}`));
    else await database.restart(how, awayMs);
  }
  while (due.length > 0) await failOver();
}

/** When standbys are promoted: one in each part of the time, neither at its beginning nor at its end. */
export function planPromotions(count, seconds, random) {
  const part = (seconds * 1_000) / count;
  return Array.from({ length: count }, (_, index) => Math.round(part * (index + 0.25 + 0.4 * random.next())));
}

/** @returns false where the time of the faults is over. */
async function pause(ms, stop) {
  return sleep(ms, !stop.aborted, { signal: stop }).catch(() => false);
}
