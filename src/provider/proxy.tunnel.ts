import net from 'node:net';
import tls from 'node:tls';
import { arrival } from './arrival.js';
import { request } from './provider.http.js';

/** Most of a CONNECT answer's head, in bytes. */
const MAX_HEAD_BYTES = 16_384;

export interface Tunnelled {
  host: string;
  port: number;
}

/** What the connection to the proxy needs. */
export interface TunnelOptions {
  /** Authorities that an https proxy's certificate is checked by. */
  ca?: string | Buffer;
  signal: AbortSignal;
  /** Told of each socket that is made, so that it can be destroyed. */
  keep: <T extends net.Socket>(socket: T) => T;
}

/**
 * Opens a tunnel through an HTTP proxy: a connection to it, and CONNECT (RFC 9110, section 9.3.6).
 * @param proxy `http://user:password@host:port`, or https.
 * @returns the socket that leads to the target; nothing has been said on it yet.
 * @throws Error with a code that begins with `PROXY_`: the answer's status, or what the network says of the proxy.
 */
export async function openTunnel(proxy: string, to: Tunnelled, options: TunnelOptions): Promise<net.Socket> {
  try {
    return await tunnel(new URL(proxy), to, options);
  } catch (error) {
    options.signal.throwIfAborted();
    // Neither text nor cause: they could hold the proxy's answer, or its address with the password.
    const { code } = error as { code?: string };
    throw Object.assign(new Error('The proxy opened no tunnel.'), { code: `PROXY_${code ?? 'ERROR'}` });
  }
}

async function tunnel(proxy: URL, to: Tunnelled, { ca, signal, keep }: TunnelOptions): Promise<net.Socket> {
  const isTls = proxy.protocol === 'https:';
  const host = bare(proxy.hostname);
  const port = Number(proxy.port || (isTls ? 443 : 80));
  const servername = net.isIP(host) ? undefined : host;
  const socket = keep(
    isTls
      ? tls.connect({ host, port, servername, ca, minVersion: 'TLSv1.2', rejectUnauthorized: true })
      : net.connect({ host, port }),
  );
  await arrival(socket, isTls ? 'secureConnect' : 'connect', signal);
  const path = `${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port}`;
  const answer = await new Promise<{ status?: number; rest: Buffer }>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    // Node reads the answer: its parser is strict, and bounds the head.
    const connect = request({
      method: 'CONNECT',
      path,
      headers: { Host: path, ...authorization(proxy) },
      maxHeaderSize: MAX_HEAD_BYTES,
      agent: { protocol: 'http:', defaultPort: 80, addRequest: (one: typeof connect) => one.onSocket(socket) } as never,
    });
    connect.on('connect', ({ statusCode }, _, rest) => resolve({ status: statusCode, rest }));
    connect.on('error', reject).end();
  });
  const isOpen = answer.status !== undefined && answer.status >= 200 && answer.status < 300;
  if (!isOpen) throw Object.assign(new Error('refused'), { code: answer.status });
  // The target speaks second; what comes first is the proxy's.
  if (answer.rest.length > 0) throw Object.assign(new Error('spoke'), { code: 'SPOKE_FIRST' });
  return socket;
}

function authorization({ username, password }: URL): { 'Proxy-Authorization'?: string } {
  if (!username && !password) return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** Without the brackets of an IPv6 address. */
export function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
