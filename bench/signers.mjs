import { phpJsonEncode } from '../dist/src/provider/php-json.js';
import { generateTestKeys } from '../dist/src/testing/index.js';
import { ProcessGroup, said } from '../test/helpers/process.group.mjs';

/** What is signed: a request as it is sent. */
export const BODY = phpJsonEncode({
  amount: '500.00',
  number: '79005554455',
  order_id: '0d3fe5a0-5f3c-4f0c-9f6e-2f1d8d1d2a6b',
  service: 'qiwi_rub',
  notification_endpoint_url: 'https://payouts.example.com/alikassa/notifications',
});

/** Runs `work` with processes that hold a new 2048-bit key, and ends them. */
export async function onSigners({ signal }, work) {
  const group = new ProcessGroup('sign');
  const keys = await generateTestKeys();
  await group.openFolder();
  const fork = async (file, setup, options) => {
    const url = new URL(file, new URL('processes/', import.meta.url));
    const child = group.fork(url, 'ALIKASSA_BENCH', { keys, ...setup }, options);
    signal.addEventListener('abort', () => child.kill('SIGKILL'));
    await said(child);
    return {
      ask: async (message) => {
        const answer = said(child);
        child.send(message);
        return answer;
      },
    };
  };
  try {
    return await work({ fork, keys, folder: group.folder });
  } finally {
    await group.end();
  }
}
