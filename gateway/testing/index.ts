/** The package entry `foregate/testing`: for tests of one's own policies and stores. See docs/writing-a-policy.md. */
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
export {
  playSession,
  type Played,
  type PlayedSession,
  type PlayedVerdict,
  type PlayTerms,
  type RecordedEvent,
} from './recorded-session.ts';
export { storeContract } from './store-contract.ts';
