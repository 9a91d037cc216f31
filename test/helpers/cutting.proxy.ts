import net, { type AddressInfo } from 'node:net';

/** Where the proxy stops to pass bytes on; it keeps both connections open. */
export interface Cut {
  /** Bytes of the answer that still pass. */
  answerBytes?: number;
  /** The request's head and half of its body pass, no more. */
  halfBody?: boolean;
}

export interface CuttingProxy {
  url: string;
  /** Whether a connection has come to its cut. */
  isCut(): boolean;
  close(): Promise<void>;
}

/** Stands between an application and the provider, and lets only a part through. */
export async function cuttingProxy(targetUrl: string, cut: Cut): Promise<CuttingProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<net.Socket>();
  let hasCut = false;
  const server = net.createServer((client) => {
    const provider = net.connect(Number(target.port), target.hostname);
    for (const socket of [client, provider]) sockets.add(socket.on('error', () => undefined));
    // Not the other way: what the provider ends must not end the client's wait for the rest.
    client.on('close', () => provider.destroy());
    let request = Buffer.alloc(0);
    let sent = 0;
    client.on('data', (chunk: Buffer) => {
      request = Buffer.concat([request, chunk]);
      const limit = cut.halfBody ? halfOf(request) : request.length;
      if (limit < request.length) hasCut = true;
      if (limit > sent) provider.write(request.subarray(sent, limit));
      sent = Math.max(sent, limit);
    });
    let left = cut.answerBytes ?? Infinity;
    provider.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, left));
      if (chunk.length > left) hasCut = true;
      left = Math.max(0, left - chunk.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isCut: () => hasCut,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Length of the request's head and half of its body; nothing before the head is complete. */
function halfOf(request: Buffer): number {
  const end = request.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(request.subarray(0, Math.max(end, 0)).toString('latin1'))?.[1];
  return end < 0 || !length ? 0 : end + 4 + Math.floor(Number(length) / 2);
}
