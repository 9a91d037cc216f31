import https from 'node:https';
import axios from 'axios';
import { AliKassaClient } from '../../dist/src/provider/provider.client.js';
import { SignatureProvider } from '../../dist/src/provider/signature.provider.js';

/**
 * Asks a server for the balance twice: as whoever leaves TLS to the process would, and by the client of this package.
 * Everything that a process can do to weaken TLS is done first. Prints both results as JSON.
 */
const { baseUrl, ca, keys } = JSON.parse(process.env.ALIKASSA_TEST_TLS ?? '{}');

Object.assign(https.globalAgent.options, { rejectUnauthorized: false, minVersion: 'TLSv1' });
axios.defaults.httpsAgent = new https.Agent({ rejectUnauthorized: false, minVersion: 'TLSv1' });

const control = await new Promise((resolve) => {
  https
    .get(baseUrl, (response) => {
      response.resume();
      resolve({ status: response.statusCode, protocol: response.socket.getProtocol() });
    })
    .on('error', ({ code }) => resolve({ code }));
});
const options = { baseUrl, ca, timeoutMs: 5_000, rejectUnauthorized: false };
const client = new AliKassaClient(new SignatureProvider(keys), options);
const { kind, reason } = await client.balance('93d5df06-996c-48c3-9847-348d6b580b80');
console.log(JSON.stringify({ control, outcome: { kind, reason } }));
process.exit();
