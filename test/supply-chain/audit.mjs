import { spawnSync } from 'node:child_process';

/**
 * `npm audit` of what a host installs: fails on any known vulnerability. Where the registry answers no audits (a mirror
 * often does not) it says so and does not fail: nothing was learned.
 */
const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
if (error) throw error;
const { metadata, message, vulnerabilities } = JSON.parse(stdout);
if (!metadata) {
  console.warn(`NOT AUDITED: the registry did not answer: ${message}`);
} else {
  const { total } = metadata.vulnerabilities;
  console.log(`${total} known vulnerabilities in ${metadata.dependencies.prod} production packages.`);
  for (const { name, severity, range } of Object.values(vulnerabilities))
    console.error(`${severity}: ${name} ${range}`);
  process.exitCode = total === 0 ? 0 : 1;
}
