import { setTimeout as sleep } from 'node:timers/promises';

/** Kills and freezes processes, one every second or two, until told to stop; then all run again. */
export async function disturbProcesses(hosts, leaseMs, random, counts, stop) {
  const thaws = [];
  while (await pause(random.between(1_000, 2_000), stop)) {
    const preferred = random.pick(hosts);
    const mayFreeze = random.chance(0.25);
    const frozenMs = Math.round(leaseMs * (1.2 + random.next()));
    const isHastyKill = random.chance(0.2);
    // One that is only just starting is spared most of the time, or nothing would ever be running.
    const host = preferred.state === 'up' || isHastyKill ? preferred : hosts.find(({ state }) => state === 'up');
    if (!host) continue;
    if (host.state === 'up' && mayFreeze && hosts.every(({ state }) => state !== 'frozen')) {
      host.freeze();
      counts.frozen += 1;
      thaws.push(
        sleep(frozenMs, undefined, { signal: stop }).then(
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

/** Ends, kills and cuts off Postgres, every few seconds, until told to stop; then it runs again. */
export async function disturbPostgres(database, random, counts, stop, report) {
  while (await pause(random.between(3_000, 7_000), stop)) {
    const how = random.pick(['SIGINT', 'SIGQUIT', 'SIGKILL', 'crash', 'cut']);
    const awayMs = random.between(0, 1_500);
    counts.postgres += 1;
    report(`Postgres: ${how}`);
    if (how === 'crash' || how === 'cut') await database[how]().catch((error) => report(`Postgres: ${error.message}`));
    else await database.restart(how, awayMs);
  }
}

/** @returns false where the time of the faults is over. */
async function pause(ms, stop) {
  return sleep(ms, !stop.aborted, { signal: stop }).catch(() => false);
}
