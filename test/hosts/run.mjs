// Small host applications, each with the packed package installed as a user would: does each pay out, and hear of it?
import { execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../../dist/src/app/free.port.js';
import { AliKassaSimulator, generateTestKeys, startPostgres, TEST_ACCOUNT } from '../../dist/src/testing/index.js';
import pg from 'pg';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, '../..');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const LIMIT_MS = 120_000;
const exec = promisify(execFile);

const known = readdirSync(HERE).filter((name) => existsSync(join(HERE, name, 'package.json')));
const names = process.argv.slice(2).length > 0 ? process.argv.slice(2) : known;
const strange = names.filter((name) => !known.includes(name));
if (strange.length > 0) {
  console.error(`No such host: ${strange.join(', ')}. There are ${known.join(', ')}.`);
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'alikassa-hosts-'));
await chmod(folder, 0o711);
let postgres;
const results = [];
try {
  const tarball = await pack();
  const [server, keys, ...installed] = await Promise.all([
    startPostgres(),
    generateTestKeys(),
    ...names.map((name) => timed(() => install(name, tarball))),
  ]);
  postgres = server;
  await writeKeys(keys);
  // One after another: each is quick, and what it prints is then its own.
  for (const [index, name] of names.entries()) {
    const { seconds, error } = installed[index];
    results.push({ name, install: seconds, ...(error ? { error } : await tried(name, keys)) });
  }
} finally {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
}
const width = Math.max(...names.map((name) => name.length));
console.log(`\n${'host'.padEnd(width)}  install  run     result`);
for (const { name, install: installing, seconds, error } of results) {
  const times = [installing, seconds].map((time) => (time === undefined ? '-' : `${time.toFixed(1)} s`).padEnd(7));
  console.log(`${name.padEnd(width)}  ${times.join('  ')} ${error ? 'failed' : 'paid, notified'}`);
}
for (const { name, error } of results.filter((result) => result.error)) {
  console.error(`\n${name}: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
}
const failed = results.filter(({ error }) => error).length;
console.log(`\n${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function pack() {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await exec('npm', args, { cwd: ROOT });
  return join(folder, JSON.parse(stdout)[0].filename);
}

/** As a user would: their package.json, `npm install` with the tarball, their compiler. */
async function install(name, tarball) {
  const home = join(folder, name);
  await cp(join(HERE, name), home, { recursive: true });
  // Hosts that are no different in it share one module.
  await cp(join(HERE, 'app.module.ts'), join(home, 'src/app.module.ts'), { force: false });
  const settings = [name, '.'].map((owner) => join(HERE, owner, 'tsconfig.host.json')).find((path) => existsSync(path));
  await cp(settings, join(home, 'tsconfig.json'));
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
  await exec('npm', ['install', ...quiet, tarball], { cwd: home });
  const own = join(home, 'node_modules/typescript/bin/tsc');
  const compiler = existsSync(own) ? [own] : [TSC, '--typeRoots', join(ROOT, 'node_modules/@types')];
  await exec(process.execPath, [...compiler, '-p', '.'], { cwd: home });
}

async function writeKeys({ payout, notification }) {
  await mkdir(join(folder, 'keys'));
  const files = { 'private.pem': payout.privateKey, 'password.txt': payout.passphrase };
  files['notifications.pem'] = notification.publicKey;
  await Promise.all(Object.entries(files).map(([file, text]) => writeFile(join(folder, 'keys', file), text)));
}

async function tried(name, keys) {
  return timed(() => payOut(name, keys));
}

async function payOut(name, keys) {
  const home = join(folder, name);
  const { host } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const simulator = await new AliKassaSimulator({
    payoutPublicKey: keys.payout.publicKey,
    notificationPrivateKey: keys.notification.privateKey,
    accounts: [TEST_ACCOUNT],
  }).start();
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: home,
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      DATABASE_URL: await createDatabase(name.replaceAll('-', '_')),
      // For a host of two.
      SECOND_DATABASE_URL: await createDatabase(`${name.replaceAll('-', '_')}_second`),
      KEYS: join(folder, 'keys'),
      ACCOUNT: TEST_ACCOUNT.uuid,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      ALIKASSA_BASE_URL: simulator.url,
      NOTIFICATION_URL: `${base}${host.path}/notifications`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)));
  try {
    await Promise.race([
      use(base, host, simulator),
      ended.then((how) => {
        throw new Error(`it ended (${how})`);
      }),
    ]);
  } catch (error) {
    throw Object.assign(new Error(error.message), { stderr: output });
  } finally {
    child.kill('SIGTERM');
    const hung = sleep(15_000, 'hung', { ref: false });
    if ((await Promise.race([ended, hung])) === 'hung') child.kill('SIGKILL');
    await simulator.stop();
  }
}

async function use(base, { path, envelope, receipts }, simulator) {
  const ask = async (where, body) => {
    const response = await fetch(base + where, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: 'Bearer host', 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    return { status: response.status, body: envelope ? (answer[envelope] ?? answer) : answer };
  };
  const listening = async () =>
    fetch(base).then(
      () => true,
      () => false,
    );
  await eventually('it listens', listening);
  const order_id = randomUUID();
  const order = { order_id, amount: '500.00', number: '4111111111111111', service: 'payment_card_rub' };
  const created = await ask(`${path}/payouts`, order);
  same('the answer to a create', [created.status, created.body.order_id], [201, order_id]);
  same('the answer to its repeat', (await ask(`${path}/payouts`, order)).status, 200);
  const wrong = await ask(`${path}/payouts`, { ...order, order_id: randomUUID(), amount: '-1' });
  same('the answer to a wrong amount', [wrong.status, wrong.body.code], [400, 'invalid_input']);
  const { id } = created.body;
  await eventually('the payout is paid', async () => (await ask(`${path}/payouts/${id}`)).body.status === 'paid');
  const events = (await ask(`${path}/payouts/${id}/events`)).body.data;
  same('what said that it is paid', events.find(({ to_status }) => to_status === 'paid').type, 'notification');
  same('accepted submissions', simulator.accepted(order_id), 1);
  same('a request without a token', (await fetch(`${base}${path}/payouts`)).status, 403);
  if (receipts) await eventually('its own job has run', async () => (await ask(receipts)).body.includes(order_id));
}

async function createDatabase(name) {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return postgres.url.replace(/[^/]*$/, name);
}

async function eventually(fact, isTrue) {
  for (const deadline = Date.now() + LIMIT_MS; !(await isTrue()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`it did not come true: ${fact}`);
  }
}

function same(what, found, expected) {
  const [one, other] = [found, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${what}: ${one} instead of ${other}`);
}

/** @returns seconds, and the error if there was one. */
async function timed(work) {
  const start = performance.now();
  const error = await work().then(
    () => undefined,
    (failure) => failure,
  );
  return { seconds: (performance.now() - start) / 1_000, error };
}
