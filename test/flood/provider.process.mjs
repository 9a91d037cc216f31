import { AliKassaSimulator } from '../../dist/src/testing/index.js';

/** The provider as a process of its own; `processes.mjs` starts it, with the simulator's options as JSON. */
const simulator = await new AliKassaSimulator(JSON.parse(process.env.ALIKASSA_FLOOD_PROVIDER ?? '{}')).start();
process.on('disconnect', () => process.exit(1));
process.send?.({ url: simulator.url });
