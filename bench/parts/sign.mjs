import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { atLeast, check, interleaved, row } from '../measure.mjs';
import { BODY, onSigners } from '../signers.mjs';

const run = promisify(execFile);

/** `sign()` a second on all cores, beside OpenSSL's own measurement of the same operation. */
export async function measure({ quick, say, ...options }) {
  const cores = availableParallelism();
  const seconds = quick ? 1 : 2;
  return onSigners(options, async ({ fork }) => {
    // Node's pool has four threads by default: on more cores it is told so, as a user would.
    const signer = await fork('signer.process.mjs', { body: BODY }, { env: { UV_THREADPOOL_SIZE: String(cores) } });
    const sides = {
      ours: async () => (await signer.ask({ seconds, atOnce: 4 * cores })).perSecond,
      openssl: async () => opensslSpeed(seconds, cores),
    };
    const { ours, openssl } = await interleaved(sides, { rounds: quick ? 2 : 3, say });
    return [row('sign', ours, openssl, 'signatures/s', atLeast(0.9))];
  });
}

/** `rsa 2048 bits 0.000671s 0.000020s 1490.0 50000.0`: the third number is signatures a second, of all processes. */
async function opensslSpeed(seconds, cores) {
  const { stdout } = await run('openssl', ['speed', '-seconds', seconds, '-multi', cores, 'rsa2048'].map(String));
  const found = /^rsa 2048 bits\s+\S+\s+\S+\s+([\d.]+)/m.exec(stdout);
  check(found, `openssl speed said something else than expected: ${stdout.slice(-300)}`);
  return Number(found[1]);
}
