const { MUTATION_FILES = '', MUTATION_REPORT = 'mutation', MUTATION_CONCURRENCY = '2' } = process.env;

/**
 * Set by test/mutation/run.mjs, once for each file with the specs beside it.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  mutate: MUTATION_FILES.split(','),
  testRunner: 'jest',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings'],
  // The specs are named already; finding them anew by their imports would take longer than running them.
  jest: { configFile: 'jest.mutation.config.js', enableFindRelatedTests: false },
  coverageAnalysis: 'perTest',
  concurrency: Number(MUTATION_CONCURRENCY),
  // A timeout counts as detected: on a busy machine the default of 5 s would call slow tests so.
  timeoutMS: 20_000,
  // Native ES modules of a test run are never freed.
  maxTestRunnerReuse: 100,
  ignorePatterns: ['/reports', '/coverage', '/.sandbox', '/docs', '/dist'],
  reporters: ['progress-append-only', 'clear-text', 'html', 'json'],
  clearTextReporter: { allowColor: false, reportTests: false, logTests: false },
  htmlReporter: { fileName: `reports/mutation/${MUTATION_REPORT}.html` },
  jsonReporter: { fileName: `reports/mutation/${MUTATION_REPORT}.json` },
  thresholds: { high: 95, low: 90, break: 90 },
};
