/** The package entry `foregate/policy`: what the author of a policy needs, and nothing more. See docs/writing-a-policy.md. */
export type { Clock, Timer } from './core/clock.ts';
export { Duration, toMs } from './core/duration.ts';
export { ForegateError, type ErrorCode } from './core/errors.ts';
export type { Message } from './core/event.ts';
export type { Reply, RequestDraft } from './core/exchange.ts';
export { header, headerValues, removeHeader, setHeader, type HeaderDraft, type HeaderList } from './core/headers.ts';
export type { ChannelName, RouteId, SessionId } from './core/ids.ts';
export type { Step } from './core/instruction.ts';
export type { Log } from './core/log.ts';
export type { Metrics } from './core/metrics.ts';
export {
  definePolicy,
  deny,
  type ConnectVerdict,
  type OwnAnswer,
  type Policy,
  type PolicyContext,
  type PolicyDefinition,
  type Publisher,
  type Verdict,
} from './core/policy.ts';
export type { MaybePromise } from './core/promise.ts';
export type { Publication } from './core/publication.ts';
export { Pem, Secret } from './core/secret.ts';
export type { Revocations } from './core/revocation.ts';
export type { ClientCertificate, ClientRequest, ConsumedCredential, Denial, Identity, SessionView } from './core/session.ts';
export type { Budget, LeaseHolder, LeaseTerms, Store, Taken } from './core/store.ts';
