import { check, interleaved, row } from '../measure.mjs';
import { BODY, onSigners } from '../signers.mjs';

const RATE = 1_000;
const LIMIT_MS = 5;

/** How late the event loop is, in 99 of 100 cases, while signatures are made. */
export async function measure({ quick, say, ...options }) {
  const seconds = quick ? 1 : 2;
  return onSigners(options, async ({ fork }) => {
    const loop = await fork('loop.process.mjs', { body: BODY });
    const rates = [];
    const sides = {
      signing: async () => {
        const { p99, perSecond } = await loop.ask({ seconds, rate: RATE, doesSign: true });
        rates.push(perSecond);
        return p99;
      },
      idle: async () => (await loop.ask({ seconds, rate: RATE, doesSign: false })).p99,
    };
    const { signing, idle } = await interleaved(sides, { rounds: quick ? 2 : 5, say });
    const least = Math.min(...rates);
    say(`signatures a second, in the slowest round: ${Math.round(least)} of ${RATE}`);
    check(least > 0, 'nothing was signed');
    const reach = { reach: `within ${LIMIT_MS} ms`, isReached: ({ ours, other }) => ours - other <= LIMIT_MS };
    return [row('sign_loop', signing, idle, 'ms p99', reach)];
  });
}
