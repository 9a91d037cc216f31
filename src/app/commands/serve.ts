import { resolve } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ConfigurationError } from '../../alikassa.errors.js';
import { SignatureProvider } from '../../provider/signature.provider.js';
import { loadConfig, parseLogLevel, withSettingNames, type AppConfig, type Environment } from '../app.config.js';
import { parseNumber } from '../config.values.js';
import { freePort, isFree } from '../free.port.js';
import type { Sandbox } from '../sandbox.js';
import { aborted, onStopSignal } from '../stop.signal.js';

const SANDBOX_FOLDER = '.sandbox';
const SANDBOX_PORT = 3000;
const DEFAULT_WORKER_SCHEMA = 'alikassa_worker';

/** Runs the reference application until SIGINT or SIGTERM; without accounts, as a sandbox. */
export async function serve(env: Environment): Promise<number> {
  return env.ALIKASSA_ACCOUNTS?.trim() ? serveConfigured(loadConfig(env)) : serveSandbox(env);
}

async function serveConfigured(config: AppConfig): Promise<number> {
  const stop = onStopSignal();
  try {
    // What a stranger gets wrong is found here, where it can be said in one sentence.
    withSettingNames(config.settingNames, () => new SignatureProvider(config.alikassa));
    // Nest and TypeORM are loaded once it is known that they are needed: a fault is said at once.
    const { checkDatabase, checkMigrations } = await import('../database.js');
    await checkDatabase(config.databaseUrl);
    await checkMigrations(config.databaseUrl, config.alikassa.worker?.schema ?? DEFAULT_WORKER_SCHEMA);
    await runUntil(stop.signal, config, () => undefined);
    return 0;
  } finally {
    stop.release();
  }
}

async function serveSandbox(env: Environment): Promise<number> {
  if (env.ALIKASSA_PRIVATE_KEY?.trim() || env.ALIKASSA_PRIVATE_KEY_PATH?.trim()) {
    throw new ConfigurationError(
      'ALIKASSA_ACCOUNTS',
      'is missing though a payout key is set; a sandbox would only pretend to pay',
    );
  }
  parseLogLevel(env.LOG_LEVEL);
  const wanted = env.PORT?.trim() ? parseNumber('PORT', env.PORT.trim(), 0, 65_535) : undefined;
  const stop = onStopSignal();
  let sandbox: Sandbox | undefined;
  try {
    console.log('SANDBOX: starting Postgres and the simulator of AliKassa ...');
    const { startSandbox } = await import('../sandbox.js');
    sandbox = await startSandbox({
      folder: resolve(SANDBOX_FOLDER),
      port: wanted || (await freePort(SANDBOX_PORT)),
      env,
      latencyMs: 200,
      settleAfterMs: 1_500,
      say: (line) => console.log(`SANDBOX: ${line}`),
    });
    const running = sandbox;
    await runUntil(stop.signal, sandbox.config, () => console.log(sandboxBanner(running)));
    return 0;
  } finally {
    await sandbox?.stop();
    stop.release();
  }
}

async function runUntil(signal: AbortSignal, config: AppConfig, onReady: () => void): Promise<void> {
  if (signal.aborted) return;
  // Nest would log a failed listen with its stack; asked before, it is one sentence.
  if (config.port !== 0 && !(await isFree(config.port))) {
    throw new ConfigurationError('PORT', `${config.port} is in use by another program; end it, or set another PORT`);
  }
  const { createApp } = await import('../main.js');
  let app: NestExpressApplication | undefined;
  try {
    app = await createApp(config);
    await (config.host ? app.listen(config.port, config.host) : app.listen(config.port));
    onReady();
    await aborted(signal);
  } finally {
    // Drains the worker; payouts that wait are taken up again at the next start.
    await app?.close();
  }
}

/** What to paste: the URL, the token, and a payout. */
export function sandboxBanner({
  config,
  token,
  accounts,
  simulator,
}: Pick<Sandbox, 'config' | 'token' | 'accounts' | 'simulator'>): string {
  const url = `http://127.0.0.1:${config.port}`;
  const line = '='.repeat(78);
  const body = JSON.stringify({
    account: accounts.RUB,
    amount: '500.00',
    number: '79005554455',
    order_id: 'ORDER',
    service: 'qiwi_rub',
    // A new order id each time: the same line can be pasted twice.
  }).replace('ORDER', `order-'"$(date +%s%N)"'`);
  return [
    line,
    '  SANDBOX SANDBOX SANDBOX   no money moves: AliKassa is a simulator here',
    line,
    `  URL          ${url}/alikassa`,
    `  token        ${token}`,
    `  RUB account  ${accounts.RUB}`,
    `  EUR account  ${accounts.EUR}`,
    `  simulator    ${simulator.url}`,
    '  amounts      .01 refused, .02 fail, .03 cancel, .04 stays wait, .05 paid in part, else paid',
    '',
    '  Pay someone out (paste this):',
    '',
    `curl -sS -X POST ${url}/alikassa/payouts -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '${body}'`,
    '',
    '  Ctrl-C ends it; without ALIKASSA_ACCOUNTS it is always a sandbox.',
    line,
  ].join('\n');
}
