import { spawn } from 'node:child_process';
import http from 'node:http';
import { resolve } from 'node:path';
import { eventually } from '../helpers/until.js';
import { referenceEnvironment } from '../helpers/reference.js';
import { prepare, type TestSurroundings } from '../helpers/application.js';

export interface FuzzRequest {
  method: string;
  /** With its query, below the prefix; visible ASCII. */
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

export interface FuzzAnswer {
  status: number;
  text: string;
}

export interface ApplicationProcess extends TestSurroundings {
  send(request: FuzzRequest): Promise<FuzzAnswer>;
  /** What the process has written since the last call that speaks of a fault; its end too, where it has ended. */
  faults(): string[];
  /** Every row of the module's tables, and every job of a payout, as one digest. */
  rows(): Promise<string>;
}

const TABLES = ['payouts', 'payout_events', 'notifications', 'deliveries', 'account_pauses'];
/** The sweep's own job comes and goes by the clock. */
const JOBS = "(SELECT * FROM alikassa_worker._private_jobs WHERE key IS DISTINCT FROM 'alikassa_sweep')";
const DIGEST = [...TABLES.map((name) => `alikassa_${name}`), JOBS]
  .map((rows) => `(SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM ${rows} t)`)
  .join(` || '-' || `);

/** The reference application as a process of its own: an unhandled rejection ends it. Nothing is checked by itself. */
export async function startApplicationProcess(): Promise<ApplicationProcess> {
  const surroundings = await prepare();
  const child = spawn(process.execPath, [resolve('dist/src/app/cli.js'), 'serve'], {
    env: { PATH: process.env.PATH, ...referenceEnvironment(surroundings), ALIKASSA_CHECK_SCHEDULE: '1d' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise((done) => child.once('exit', done));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = (request: FuzzRequest): Promise<FuzzAnswer> => sendOver(agent, surroundings.port, request);
  await eventually('the application listens', () => send({ method: 'GET', path: 'payouts', headers: {} }));
  return {
    ...surroundings,
    send,
    faults: () => {
      const lines = output.split('\n').filter((line) => /ERROR|Unexpected|UnhandledPromise|^\s+at /.test(line));
      if (child.exitCode !== null) lines.push(`The process ended with ${child.exitCode}: ${output}`);
      output = '';
      return lines;
    },
    rows: async () => {
      const { rows } = await surroundings.database.pool.query<{ digest: string }>(`SELECT ${DIGEST} AS digest`);
      return rows[0]?.digest ?? '';
    },
    stop: async () => {
      agent.destroy();
      child.kill('SIGTERM');
      await ended;
      await surroundings.stop();
    },
  };
}

async function sendOver(
  agent: http.Agent,
  port: number,
  { method, path, headers, body }: FuzzRequest,
): Promise<FuzzAnswer> {
  for (;;) {
    const answer = await new Promise<FuzzAnswer | 'again'>((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const options = { agent, port, host: '127.0.0.1', method, path: `/alikassa/${path}` };
      const request = http.request({ ...options, headers: { ...headers, ...length } }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
        response.on('error', reject);
      });
      // A kept connection that the server has just closed says nothing about this request.
      request.on('error', (error) => (request.reusedSocket ? resolve('again') : reject(error)));
      request.end(body);
    });
    if (answer !== 'again') return answer;
  }
}
