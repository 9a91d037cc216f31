import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections (Linux from 32768 on): one of those, free now, may be taken by
 * any connection before it is listened on.
 */
const LOWEST = 10_000;
const HIGHEST = 32_767;
const TRIES = 100;

/** Whether this port of the loopback address can be listened on. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** A port of the loopback address that nothing listens on now: `preferred` if that one is free. */
export async function freePort(preferred?: number): Promise<number> {
  for (let tries = 0, port = preferred; tries < TRIES; tries++, port = undefined) {
    port ??= randomInt(LOWEST, HIGHEST + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`None of ${TRIES} ports of 127.0.0.1 from ${LOWEST} to ${HIGHEST} is free.`);
}
