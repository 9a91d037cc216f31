/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.spec.ts', '<rootDir>/examples/**/*.spec.ts'],
  modulePathIgnorePatterns: ['<rootDir>/.stryker-tmp', '<rootDir>/test/hosts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^nestjs-alikassa$': '<rootDir>/src/index.ts',
    '^nestjs-alikassa/testing$': '<rootDir>/src/testing/index.ts',
    '^nestjs-alikassa/openapi$': '<rootDir>/src/openapi/index.ts',
    '^nestjs-alikassa/migrations$': '<rootDir>/migrations/index.ts',
    '^nestjs-alikassa/terminus$': '<rootDir>/src/terminus/index.ts',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2022',
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  setupFiles: ['reflect-metadata'],
  globalSetup: '<rootDir>/test/helpers/global-setup.ts',
  globalTeardown: '<rootDir>/test/helpers/global-teardown.ts',
  // Most tests wait for a process, a lease or the provider rather than for the processor.
  maxWorkers: 4,
  testTimeout: 30_000,
};
