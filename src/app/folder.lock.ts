import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../alikassa.errors.js';

/**
 * Takes a folder for this process. A lock that a killed process left behind does not count, even where its number
 * belongs to some other program by now: the start time is compared too.
 * @returns gives the folder back.
 * @throws ConfigurationError if a running process holds it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  const mine = `${process.pid} ${await startOf(process.pid)}`;
  for (;;) {
    try {
      await writeFile(path, mine, { flag: 'wx', mode: 0o600 });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readFile(path, 'utf8').catch(() => '');
    const pid = Number(holder.split(' ')[0]);
    if (pid > 0 && holder === `${pid} ${await startOf(pid)}`) {
      throw new ConfigurationError(folder, `is in use by process ${pid}; end that one, or start from another folder`);
    }
    await rm(path, { force: true });
  }
}

/** When a process started; empty if there is none. Only Linux tells more than whether it runs. */
async function startOf(pid: number): Promise<string> {
  if (existsSync('/proc/self/stat')) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The second field is the program's name and may hold spaces: count from the bracket that ends it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  }
  try {
    process.kill(pid, 0);
    return 'running';
  } catch {
    return '';
  }
}
