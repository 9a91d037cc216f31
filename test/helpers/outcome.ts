import type { OutcomeTrace } from '../../src/provider/provider.types.js';

/** An outcome as JSON without its duration: a random figure, whose digits may be those of any card. */
export const shown = (outcome: OutcomeTrace): string => JSON.stringify({ ...outcome, durationMs: 0 });
