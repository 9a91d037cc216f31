import { setMaxListeners } from 'node:events';
import { AliKassaSimulator } from '../../dist/src/testing/index.js';

/** The provider as a process of its own; `processes.mjs` starts it, with the simulator's options as JSON. */
const simulator = await new AliKassaSimulator(JSON.parse(process.env.ALIKASSA_FLOOD_PROVIDER ?? '{}')).start();
// Each payout that is open there waits for the simulator's end.
setMaxListeners(0);
process.on('disconnect', () => process.exit(1));
process.send?.({ url: simulator.url });
