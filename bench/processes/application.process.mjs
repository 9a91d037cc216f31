import { loadConfig } from '../../dist/src/app/app.config.js';
import { createApp } from '../../dist/src/app/main.js';
import { readSetup } from './setup.mjs';

/** The reference application as `npm start` runs it; `worker` overrides options that it reads from no variable. */
const { environment, worker } = readSetup();
const config = loadConfig(environment);
const alikassa = { ...config.alikassa, worker: { ...config.alikassa.worker, ...worker } };
const app = await createApp({ ...config, alikassa });
await app.listen(config.port, '127.0.0.1');
process.send('listening');
