import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { interleaved, row } from '../measure.mjs';
import { BODY, onSigners } from '../signers.mjs';

const run = promisify(execFile);
const PHP = fileURLToPath(new URL('../rivals/sample.php', import.meta.url));

/** `sign()` on one core, beside a loop that reads and decrypts the key file for every request. */
export async function measure({ quick, say, ...options }) {
  const seconds = quick ? 1 : 1.5;
  return onSigners(options, async ({ fork, keys, folder }) => {
    const files = { keyFile: join(folder, 'private.pem'), passwordFile: join(folder, 'password.txt') };
    await writeFile(files.keyFile, keys.payout.privateKey);
    await writeFile(files.passwordFile, `${keys.payout.passphrase}\n`);
    const pin = (await has('taskset', '--version')) ? ['taskset', '-c', '0'] : [];
    const pinned = pin.length > 0 ? { execPath: pin[0], execArgv: [...pin.slice(1), process.execPath] } : {};
    const oneThread = { env: { UV_THREADPOOL_SIZE: '1' } };
    const signer = await fork('signer.process.mjs', { body: BODY }, { ...pinned, ...oneThread });
    const sides = { ours: async () => (await signer.ask({ seconds, atOnce: 4 })).perSecond };
    const isPhp = await has('php', '--version');
    if (isPhp) {
      const [command, ...rest] = [...pin, 'php', PHP, files.keyFile, files.passwordFile, BODY, String(seconds)];
      sides.sample = async () => Number((await run(command, rest)).stdout);
    } else {
      const sample = await fork('../rivals/sample.process.mjs', { body: BODY, ...files }, pinned);
      sides.sample = async () => (await sample.ask({ seconds })).perSecond;
    }
    say(
      `the sample in ${isPhp ? 'PHP' : 'Node (PHP is not installed)'}, ${pin.length > 0 ? 'both on core 0' : 'one thread each'}`,
    );
    const { ours, sample } = await interleaved(sides, { rounds: quick ? 2 : 3, say });
    return [row('sign_seed', ours, sample, 'signatures/s', { reach: 'as it is' })];
  });
}

async function has(command, argument) {
  return run(command, [argument]).then(
    () => true,
    () => false,
  );
}
