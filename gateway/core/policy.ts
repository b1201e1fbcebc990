/**
 * Policies: rules at eight moments of a session's life. A policy is made by its definition from options that its schema has
 * checked; it keeps its own state in the closure of `create`, per session in a WeakMap of its own, shared state in the store.
 */
import type { Static, TSchema } from 'typebox';
import type { Clock } from './clock.ts';
import type { Message } from './event.ts';
import type { Reply, RequestDraft } from './exchange.ts';
import type { HeaderDraft } from './headers.ts';
import type { ChannelName } from './ids.ts';
import type { Step } from './instruction.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { isPromise, type MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';
import type { Revocations } from './revocation.ts';
import type { Denial, Identity, SessionView } from './session.ts';
import type { Store } from './store.ts';
import { toForegateError, type ErrorCode } from './errors.ts';

/** Go on (undefined), refuse, go on later while nothing more is read from this client, or: the message was meant for the policy. */
export type Verdict = undefined | Denial | { readonly kind: 'delay'; readonly ms: number } | { readonly kind: 'consumed' };

/** Who calls the control API. Policies of the control API may set `identity`. */
export interface Publisher {
  identity: Identity | undefined;
  readonly address: string;
  readonly headers: readonly string[];
}

export interface Policy {
  /** Before anything is sent downstream. `answer`: header fields for the client's handshake or reply, such as limits. */
  connect?(session: SessionView, answer: HeaderDraft): MaybePromise<ConnectVerdict>;
  /** A plain request that was let in is held from now on: it is a long-lived session as a WebSocket is. */
  held?(session: SessionView): void;
  /** Each message from the client. */
  message?(session: SessionView, message: Message): MaybePromise<Verdict>;
  /** Whoever asks for it: the backend or the route. */
  subscribe?(session: SessionView, channel: ChannelName): MaybePromise<Verdict>;
  /** Every request downstream; may change the draft. */
  request?(session: SessionView, draft: RequestDraft): MaybePromise<Verdict>;
  /**
   * Read, not yet carried out. For plain requests the head alone, with an empty body and no steps. The handshake of a WebSocket
   * backend has the step `accept`; each of its messages is the only step of a reply with the status 101 and no fields.
   */
  response?(session: SessionView, reply: Reply, steps: readonly Step[]): MaybePromise<Verdict>;
  /**
   * The control API brings a newer credential for a session that lasts. `consumed`: it is taken; undefined: it is not of this policy's
   * kind, or who the client is says another. A denial is for the caller, and the session goes on as it was.
   */
  renew?(session: SessionView, credential: string): MaybePromise<Verdict>;
  /** Before it goes on the bus. */
  publish?(publication: Publication, publisher: Publisher): MaybePromise<Verdict>;
  /** Once for every session whose `connect` was run, denied or not. */
  disconnect?(session: SessionView): void;
  /** The last session of its route has ended, or the program ends. */
  dispose?(): MaybePromise<void>;
}

/** In place of going on: the client gets this and nothing is sent downstream. */
export interface OwnAnswer {
  readonly kind: 'answer';
  readonly reply: Reply;
}

export type ConnectVerdict = Verdict | OwnAnswer;

export const programKeyBytes = 32;

export interface PolicyContext {
  /** Numbers shared by all sessions, and by all processes where the configuration says so. Keys are the policy's own. */
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** For identities that a policy sets after `connect`; those of `connect` are checked when the client is let in. */
  readonly revocations: Revocations;
  /** {@link programKeyBytes} random bytes, for what nobody but this program has to open: all its workers have the same, through reloads, until it stops. */
  readonly programKey: Buffer;
  /** Unique for this use of the policy: the prefix of its keys in the store. */
  readonly scope: string;
  /** The folder that relative paths in options start from. */
  readonly directory: string;
  /** True for a proxy of ours (`trustedProxies`): what it tells of its clients is believed. */
  readonly trusts: (address: string) => boolean;
}

export interface PolicyDefinition<Options extends TSchema = TSchema> {
  /** The word after `use:`. */
  readonly name: string;
  /** One sentence for the reference. */
  readonly summary: string;
  readonly options: Options;
  create(options: Static<Options>, context: PolicyContext): MaybePromise<Policy>;
}

/** Only pins the types: options are what the schema says. */
export function definePolicy<const Options extends TSchema>(definition: PolicyDefinition<Options>): PolicyDefinition<Options> {
  return definition;
}

/** A refusal. `detail` is shown to the client: a sentence without secrets. */
export function deny(code: ErrorCode, detail: string, more: Partial<Omit<Denial, 'kind' | 'code' | 'detail'>> = {}): Denial {
  return { kind: 'deny', code, detail, ...more };
}

type Moment = 'connect' | 'message' | 'subscribe' | 'request' | 'response' | 'renew' | 'publish';
export type Hook<Subject, Detail, Outcome extends ConnectVerdict = Verdict> = (
  subject: Subject,
  detail: Detail,
) => MaybePromise<Outcome>;

/** One array per moment, compiled once per route; an empty one costs nothing. */
export interface RouteHooks {
  readonly connect: readonly Hook<SessionView, HeaderDraft, ConnectVerdict>[];
  readonly message: readonly Hook<SessionView, Message>[];
  readonly subscribe: readonly Hook<SessionView, ChannelName>[];
  readonly request: readonly Hook<SessionView, RequestDraft>[];
  readonly response: readonly Hook<SessionView, ReadReply>[];
  readonly renew: readonly Hook<SessionView, string>[];
  readonly publish: readonly Hook<Publication, Publisher>[];
  readonly held: readonly Notice[];
  readonly disconnect: readonly Notice[];
}

/** Nothing is decided there. */
type Notice = (session: SessionView) => void;

export interface ReadReply {
  readonly reply: Reply;
  readonly steps: readonly Step[];
}

export const noHooks: RouteHooks = {
  connect: [],
  message: [],
  subscribe: [],
  request: [],
  response: [],
  renew: [],
  publish: [],
  held: [],
  disconnect: [],
};

/** Puts the policies of a route, in their order, into one array per moment. A policy that throws denies. */
export function compileHooks(
  policies: readonly (readonly [name: string, policy: Policy])[],
  watch: { log: Log; metrics: Metrics },
): RouteHooks {
  const guard = <Subject, Detail, Outcome extends ConnectVerdict>(
    name: string,
    moment: Moment,
    hook: Hook<Subject, Detail, Outcome>,
  ): Hook<Subject, Detail, Outcome | Denial> => {
    const failed = (thrown: unknown): Denial => {
      watch.metrics.count('policy_errors');
      watch.log.error('policy.failed', { policy: name, moment, error: toForegateError(thrown).cause ?? thrown });
      return deny('policy-failed', `The policy ${name} could not decide.`);
    };
    const noted = (verdict: Outcome): Outcome => {
      if (verdict?.kind === 'deny') {
        watch.metrics.count('policy_denials');
        watch.log.debug('policy.denied', { policy: name, moment, code: verdict.code, detail: verdict.detail });
      }
      if (verdict?.kind === 'consumed' && moment === 'publish') watch.metrics.count('publications_dropped');
      return verdict;
    };
    return (subject, detail) => {
      try {
        const verdict = hook(subject, detail);
        return isPromise(verdict) ? verdict.then(noted, failed) : noted(verdict);
      } catch (thrown) {
        return failed(thrown);
      }
    };
  };
  const collect = <Subject, Detail, Outcome extends ConnectVerdict = Verdict>(
    moment: Moment,
    pick: (policy: Policy) => Hook<Subject, Detail, Outcome> | undefined,
  ): Hook<Subject, Detail, Outcome | Denial>[] =>
    policies.flatMap(([name, policy]) => {
      const hook = pick(policy);
      return hook ? [guard(name, moment, hook)] : [];
    });
  return {
    connect: collect('connect', (policy) => policy.connect?.bind(policy)),
    message: collect('message', (policy) => policy.message?.bind(policy)),
    subscribe: collect('subscribe', (policy) => policy.subscribe?.bind(policy)),
    request: collect('request', (policy) => policy.request?.bind(policy)),
    response: collect<SessionView, ReadReply>('response', (policy) =>
      policy.response ? (session, read) => policy.response?.(session, read.reply, read.steps) : undefined,
    ),
    renew: collect('renew', (policy) => policy.renew?.bind(policy)),
    publish: collect('publish', (policy) => policy.publish?.bind(policy)),
    held: policies.flatMap(([name, policy]) => guardNotice(name, 'held', policy.held?.bind(policy), watch)),
    disconnect: policies.flatMap(([name, policy]) => guardNotice(name, 'disconnect', policy.disconnect?.bind(policy), watch)),
  };
}

function guardNotice(
  name: string,
  moment: 'held' | 'disconnect',
  notice: Notice | undefined,
  watch: { log: Log; metrics: Metrics },
): Notice[] {
  if (notice === undefined) return [];
  const failed = (session: SessionView, thrown: unknown): void => {
    watch.metrics.count('policy_errors');
    watch.log.error('policy.failed', { policy: name, moment, error: thrown });
    // A session must not stay without the watch that its policy wanted.
    if (moment === 'held') session.end(deny('policy-failed', `The policy ${name} could not decide.`));
  };
  return [
    (session) => {
      try {
        notice(session);
      } catch (thrown) {
        failed(session, thrown);
      }
    },
  ];
}

/** Runs the hooks of a moment in order; the first verdict that is not to go on, now or later, ends the round. Stays synchronous while they are. */
export function runHooks<Subject, Detail, Outcome extends ConnectVerdict>(
  hooks: readonly Hook<Subject, Detail, Outcome>[],
  subject: Subject,
  detail: Detail,
): MaybePromise<Outcome | undefined> {
  for (let i = 0; i < hooks.length; i += 1) {
    const verdict = hooks[i]?.(subject, detail);
    if (verdict === undefined) continue;
    if (isPromise(verdict)) return verdict.then((later) => withRest(later, hooks.slice(i + 1), subject, detail));
    return verdict.kind === 'delay' ? withRest(verdict, hooks.slice(i + 1), subject, detail) : verdict;
  }
  return undefined;
}

/** Who is only to wait has to please the others, too; the longest wait holds. */
function withRest<Subject, Detail, Outcome extends ConnectVerdict>(
  verdict: Outcome | undefined,
  rest: readonly Hook<Subject, Detail, Outcome>[],
  subject: Subject,
  detail: Detail,
): MaybePromise<Outcome | undefined> {
  if (verdict !== undefined && verdict.kind !== 'delay') return verdict;
  const next = runHooks(rest, subject, detail);
  return isPromise(next) ? next.then((later) => stricter(verdict, later)) : stricter(verdict, next);
}

function stricter<Outcome extends ConnectVerdict>(delay: Outcome | undefined, other: Outcome | undefined): Outcome | undefined {
  if (delay?.kind !== 'delay' || other === undefined) return other ?? delay;
  return other.kind === 'delay' && other.ms < delay.ms ? delay : other;
}
