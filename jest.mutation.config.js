import base from './jest.config.js';

const { globalSetup: _, globalTeardown: __, ...config } = base;

/**
 * What test/mutation/run.mjs runs for every mutant: the specs beside the mutated file alone, on the one Postgres that it
 * has started for all of them.
 * @type {import('jest').Config}
 */
export default {
  ...config,
  roots: ['<rootDir>/src', '<rootDir>/migrations', '<rootDir>/test'],
  testMatch: (process.env.MUTATION_SPECS ?? '').split(',').map((spec) => `<rootDir>/${spec}`),
};
