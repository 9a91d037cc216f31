import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SignatureProvider } from '../../dist/src/index.js';
import { answerMessages, readSetup } from './setup.mjs';

/** An event loop that signs at a steady rate, or only keeps the time of it. */
const { keys, body } = readSetup();
/** Requests come one by one, not in bursts. */
const TICK_MS = 1;
const signature = new SignatureProvider({
  ...keys.payout,
  notificationPublicKey: keys.notification.publicKey,
});

answerMessages(async ({ seconds, rate, doesSign }) => {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const startedAt = performance.now();
  const open = new Set();
  let started = 0;
  let signed = 0;
  delay.enable();
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const elapsed = performance.now() - startedAt;
      for (const due = (elapsed / 1_000) * rate; started < due; started += 1) {
        if (!doesSign) continue;
        const work = signature.sign(body).then(() => {
          open.delete(work);
          signed += 1;
        });
        open.add(work);
      }
      if (elapsed < seconds * 1_000) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  delay.disable();
  const elapsed = performance.now() - startedAt;
  const perSecond = signed / (elapsed / 1_000);
  await Promise.all(open);
  return { p99: delay.percentile(99) / 1e6, perSecond };
});
process.send('ready');
