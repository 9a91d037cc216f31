export { AliKassaTestingModule, type AliKassaTestingOptions } from './alikassa.testing.module.js';
export type { PayoutScript } from './payout.script.js';
export { startPostgres } from './postgres.js';
export { startAliKassa, TEST_ACCOUNT, type Simulation, type SimulationSetup } from './simulation.js';
export { AliKassaSimulator, type SeenRequest, type SimulatorOptions } from './simulator.js';
export type { SimulatedAccount, SimulatedPayout } from './simulator.ledger.js';
export type { NotificationParameters } from './simulator.notifier.js';
export { rulesByAmount, type SimulatedFate, type SimulatorRules } from './simulator.rules.js';
export type {
  ConnectionEnd,
  ConnectionFault,
  RequestFault,
  ScriptedFault,
  SimulatedEndpoint,
} from './simulator.script.js';
export { generateTestKeys, type TestKeys } from './test-keys.js';
