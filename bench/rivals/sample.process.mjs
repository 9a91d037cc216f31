import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { answerMessages, readSetup } from '../processes/setup.mjs';

/** Signs as the provider's sample does: each request reads and decrypts the key file. */
const { keyFile, passwordFile, body } = readSetup();

answerMessages(({ seconds }) => {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  let count = 0;
  for (; performance.now() < until; count += 1) {
    const passphrase = readFileSync(passwordFile, 'utf8').trim();
    const key = createPrivateKey({ key: readFileSync(keyFile), passphrase });
    sign('sha1', Buffer.from(body), key).toString('base64');
  }
  return { perSecond: count / ((performance.now() - startedAt) / 1_000) };
});
process.send('ready');
