import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { startEmbeddedPostgres } from '../../dist/src/app/embedded-postgres.js';

/**
 * The files whose rules must be held by the specs beside them, each with those specs. One Stryker for each file: with
 * all specs in one, every mutant would load them all, which took ten times as long.
 */
const TARGETS = {
  'src/provider/php-json.ts': ['test/provider/php-json.spec.ts'],
  'src/provider/signature.provider.ts': ['test/provider/signature.provider.spec.ts'],
  'src/provider/provider.answer.ts': ['test/provider/provider.answer.spec.ts'],
  'src/provider/provider.client.ts': [
    'test/provider/provider.client.spec.ts',
    'test/provider/provider.client.wire.spec.ts',
  ],
  'src/provider/transport.ts': ['test/provider/transport.spec.ts'],
  'src/payouts/payout.status.ts': ['test/payouts/payout.status.spec.ts'],
  'src/payouts/payout.decision.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/attention.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/attempt.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/heard.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/hold.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/person.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/provider.word.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/restored.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/decision/waiting.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/payout.facts.ts': ['test/mutation/payout.decision.ts'],
  'src/payouts/payout.schedule.ts': ['test/payouts/payout.schedule.spec.ts'],
  'src/payouts/payout.intake.ts': ['test/payouts/payout.intake.spec.ts'],
  'src/payouts/payout.changes.ts': ['test/mutation/payout.store.ts'],
  'src/payouts/payout.store.ts': ['test/mutation/payout.store.ts'],
};

/** Their specs wait for Postgres, and their mutants often for an end that never comes: more at once take no more time. */
const WAITING = new Set(['src/payouts/payout.changes.ts', 'src/payouts/payout.store.ts']);

// `npm run test:mutation -- php-json store` takes the files whose names contain one of these.
const wanted = process.argv.slice(2);
const targets = Object.entries(TARGETS).filter(
  ([file]) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
const folder = await mkdtemp(join(tmpdir(), 'alikassa-mutation-'));
// As root the server runs as another user, which must be able to reach its folder.
await chmod(folder, 0o711);
const server = await startEmbeddedPostgres({ folder, database: 'test', durable: false });
const table = [];
try {
  for (const [file, specs] of targets) table.push(await mutate(file, specs));
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
const sum = (key) => table.reduce((total, row) => total + row[key], 0);
table.push({ file: 'all', detected: sum('detected'), undetected: sum('undetected'), seconds: sum('seconds') });
console.table(table.map((row) => ({ ...row, score: scoreOf(row) })));
process.exitCode = targets.length === 0 || table.some(({ status }) => status) ? 1 : 0;

/** Stryker itself fails below its threshold, which stands in stryker.config.mjs. */
async function mutate(file, specs) {
  const name = basename(file, '.ts');
  const report = `reports/mutation/${name}.json`;
  await rm(report, { force: true });
  const startedAt = performance.now();
  const env = {
    ...process.env,
    ALIKASSA_TEST_SERVER_URL: server.url,
    MUTATION_FILES: file,
    MUTATION_SPECS: specs.join(','),
    MUTATION_REPORT: name,
    MUTATION_CONCURRENCY: WAITING.has(file) ? '6' : '2',
  };
  const child = spawn('node_modules/.bin/stryker', ['run'], { stdio: 'inherit', env });
  const status = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  const { files } = JSON.parse(await readFile(report, 'utf8'));
  const mutants = Object.values(files).flatMap((one) => one.mutants);
  const count = (...states) => mutants.filter((mutant) => states.includes(mutant.status)).length;
  return {
    file,
    detected: count('Killed', 'Timeout'),
    undetected: count('Survived', 'NoCoverage'),
    seconds: Math.round((performance.now() - startedAt) / 1000),
    status,
  };
}

function scoreOf({ detected, undetected }) {
  const total = detected + undetected;
  return total === 0 ? 100 : Math.round((10_000 * detected) / total) / 100;
}
