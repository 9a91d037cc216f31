import { createPrivateKey, createPublicKey, sign as cryptoSign, verify } from 'node:crypto';
import http from 'node:http';
import { promisify } from 'node:util';
import { Body, ForbiddenException, Get, Post, Query } from '@nestjs/common';
import { Logger, run, runMigrations } from 'graphile-worker';
import { phpJsonEncode } from '../../dist/src/provider/php-json.js';
import { endpoint, pool, readSetup, serve } from './nest.mjs';

/**
 * The same HTTP calls and signatures as a payout makes, and no state: the request adds a job, the job signs and posts,
 * the notification is verified and forgotten. What crashes here is lost, what comes twice is paid twice.
 */
const { port, databaseUrl, notificationUrl, account, keys, baseUrl, concurrency } = readSetup();
const SCHEMA = 'graphile_worker';
const privateKey = createPrivateKey({ key: keys.payout.privateKey, passphrase: keys.payout.passphrase });
const notificationKey = createPublicKey(keys.notification.publicKey);
const sign = promisify(cryptoSign);
const database = pool(databaseUrl);
const workerPool = pool(databaseUrl, concurrency + 2);
const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
const quiet = new Logger(() => () => undefined);

const ADD_JOB = { name: 'add_job', text: `SELECT ${SCHEMA}.add_job('pay', $1::json)` };

class TaskController {
  async create({ amount, number, order_id, service }) {
    const body = { amount, number, order_id, service, notification_endpoint_url: notificationUrl };
    await database.query({ ...ADD_JOB, values: [JSON.stringify(body)] });
    return { order_id };
  }

  async notification({ sign: signature, ...fields }) {
    const { type, id, order_id, payment_status, amount, payment_amount, commission_amount } = fields;
    const { is_partial_payment, account: uuid, service, desc = null } = fields;
    const signed = { type, id: BigInt(id), order_id, payment_status, amount, payment_amount, commission_amount };
    const text = phpJsonEncode({ ...signed, is_partial_payment, account: uuid, service, desc });
    if (!verify('sha1', Buffer.from(text), notificationKey, Buffer.from(signature, 'base64'))) {
      throw new ForbiddenException();
    }
    return { status: 'ok' };
  }
}
endpoint(TaskController, 'create', Post('payouts'), Body());
endpoint(TaskController, 'notification', Get('notifications'), Query());

async function pay(payload) {
  const body = Buffer.from(phpJsonEncode(payload));
  const signature = (await sign('sha1', body, privateKey)).toString('base64');
  const { status, text } = await post(body, signature);
  if (status !== 200 || JSON.parse(text).payment_status !== 'wait') throw new Error(`the provider answered ${status}`);
}

function post(body, signature) {
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
  Object.assign(headers, { Account: account, Sign: signature, 'User-Agent': 'AliKassa2.0 API' });
  return new Promise((resolve, reject) => {
    const request = http.request(`${baseUrl}/v1/payout`, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', reject).end(body);
  });
}

await runMigrations({ pgPool: workerPool, schema: SCHEMA, logger: quiet });
await run({
  pgPool: workerPool,
  taskList: { pay },
  noHandleSignals: true,
  crontab: '',
  logger: quiet,
  // The settings of the application under test.
  preset: {
    worker: { schema: SCHEMA, concurrentJobs: concurrency, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
});
await serve(TaskController, port);
