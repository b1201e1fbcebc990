/** The package entry `foregate/testing`: for tests of one's own policies and stores. See docs/write-a-policy.md. */
export { ManualClock } from './manual-clock.ts';
export { policyContract, type PolicySamples } from './policy-contract.ts';
export {
  connect,
  createPolicy,
  optionErrors,
  testSession,
  textMessage,
  type TestSession,
  type TestSessionOptions,
} from './policy-kit.ts';
export { storeContract } from './store-contract.ts';
