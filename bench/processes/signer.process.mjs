import { SignatureProvider } from '../../dist/src/index.js';
import { answerMessages, readSetup } from './setup.mjs';

/** Signs as the application does, as many at once as it is told. */
const { keys, body } = readSetup();
const signature = new SignatureProvider({
  ...keys.payout,
  notificationPublicKey: keys.notification.publicKey,
});

answerMessages(async ({ seconds, atOnce }) => {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  let count = 0;
  const work = async () => {
    for (; performance.now() < until; count += 1) await signature.sign(body);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { perSecond: count / ((performance.now() - startedAt) / 1_000) };
});
process.send('ready');
