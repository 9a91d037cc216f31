import { AliKassaSimulator } from '../../dist/src/testing/index.js';

/** The provider as a process of its own; `processes.mjs` starts it with the simulator's options in the environment. */
const simulator = await new AliKassaSimulator(JSON.parse(process.env.FLOOD_PROVIDER ?? '{}')).start();

process.on('message', () => process.send?.({ sent: simulator.notificationsSent, payouts: simulator.payouts.size }));
process.on('disconnect', () => process.exit(0));
process.send?.({ url: simulator.url });
