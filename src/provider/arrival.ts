import type net from 'node:net';

/** Waits for the event; the socket's end and the signal come instead of it. */
export function arrival(socket: net.Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    socket.once(event, resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(Object.assign(new Error('closed by the peer'), { code: 'ECONNRESET' })));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
  });
}
