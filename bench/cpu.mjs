import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of the kernel's clock ticks, 100 a second on every Linux that Node runs on. */
const TICK_MS = 10;

/** The processor time of each program, so that it can be said what saturates first. Linux only; elsewhere it is silent. */
export class CpuClock {
  /** @param {Record<string, import('node:child_process').ChildProcess>} processes by what they are called. */
  constructor(stage, processes) {
    this.processes = processes;
    this.pidFile = join(stage.group.folder, 'data', 'postmaster.pid');
    this.spent = {};
    this.units = 0;
    this.elapsed = 0;
  }

  /** Counts what `work` takes. @param unitsOf tells from its result how many it has done. @returns the result. */
  async during(work, unitsOf) {
    const [before, startedAt] = [this.read(), performance.now()];
    const result = await work();
    for (const [name, ms] of Object.entries(this.read()))
      this.spent[name] = (this.spent[name] ?? 0) + ms - before[name];
    this.units += unitsOf(result);
    this.elapsed += performance.now() - startedAt;
    return result;
  }

  /** Milliseconds of a processor for one unit, by program, and how many processors were busy. */
  perUnit() {
    const parts = Object.entries(this.spent);
    if (parts.length === 0 || this.units === 0) return 'not known on this system';
    const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
    const shown = parts.map(([name, ms]) => `${name} ${(ms / this.units).toFixed(2)} ms`).join(', ');
    return `${shown}; ${(total / this.elapsed).toFixed(2)} processors busy`;
  }

  read() {
    try {
      const spent = Object.fromEntries(
        Object.entries(this.processes).map(([name, { pid }]) => [name, timesOf(pid).own]),
      );
      return { ...spent, postgres: postgresTime(Number(readFileSync(this.pidFile, 'utf8').split('\n')[0])) };
    } catch {
      return {};
    }
  }
}

/** One clock for each side: its application, and what both sides share. */
export function clocksOf(stage, targets, shared) {
  return Object.fromEntries(
    Object.entries(targets).map(([name, { process }]) => [
      name,
      new CpuClock(stage, { application: process, ...shared }),
    ]),
  );
}

/** Of the server and all of its processes, ended ones included. */
function postgresTime(postmaster) {
  let { own, ended: total } = timesOf(postmaster);
  total += own;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const { own: ms, parent } = timesOf(name);
      if (parent === postmaster) total += ms;
    } catch {
      // It has ended meanwhile.
    }
  }
  return total;
}

function timesOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the program's name in parentheses, which may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ms = (...indexes) => indexes.reduce((sum, index) => sum + Number(fields[index]), 0) * TICK_MS;
  return { parent: Number(fields[1]), own: ms(11, 12), ended: ms(13, 14) };
}
