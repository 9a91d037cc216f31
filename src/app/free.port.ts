import { createServer, type AddressInfo } from 'node:net';

/** Whether this port of the loopback address can be listened on. */
export async function isFree(port: number): Promise<boolean> {
  return (await bound(port)) !== undefined;
}

/** A port of the loopback address that nothing listens on now: `preferred` if that one is free. */
export async function freePort(preferred = 0): Promise<number> {
  const port = (await bound(preferred)) ?? (await bound(0));
  if (port === undefined) throw new Error('No free port on 127.0.0.1.');
  return port;
}

async function bound(port: number): Promise<number | undefined> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(undefined));
    probe.listen(port, '127.0.0.1', () => {
      const { port: taken } = probe.address() as AddressInfo;
      probe.close(() => resolve(taken));
    });
  });
}
