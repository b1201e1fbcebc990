/** Turns checked settings into what runs: routes with their policies and targets. The new world stands complete before the old one goes. */
import { addressList } from '../core/address-list.ts';
import type { NamedPolicies } from '../core/any-of.ts';
import type { Clock } from '../core/clock.ts';
import type { Dialect } from '../core/dialect.ts';
import { dryRun } from '../core/dry-run.ts';
import { toMs } from '../core/duration.ts';
import { errors, ForegateError } from '../core/errors.ts';
import { channelName, routeId, type RouteId } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import { namesOf } from '../core/headers.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { compileHooks, deny, type Policy, type PolicyContext, type PolicyDefinition, type RouteHooks } from '../core/policy.ts';
import type { Profile } from '../core/profile.ts';
import type { Revocations } from '../core/revocation.ts';
import type { RouteStatistics } from '../core/route-statistics.ts';
import type { ForwardedRules, Match, MessageLogTerms, PathChange, Route, Signer, Target, TargetTls } from '../core/route.ts';
import type { RouteSettings, Settings, TargetSettings } from '../core/settings.ts';
import type { Store } from '../core/store.ts';
import { openTestBackend, type TestBackend } from '../backend/test-backend.ts';
import { gatewayFields } from '../core/adapter-settings.ts';
import { testBackendUrl } from '../core/target-settings.ts';
import type { BreakerTerms } from '../downstream/breaker.ts';
import { guarded, type GuardTerms } from '../downstream/breaker-and-cap.ts';
import { HttpDownstream, type ClientSettings } from '../downstream/client.ts';
import type { InFlightTerms } from '../downstream/in-flight.ts';
import type { TargetGuards } from '../downstream/target-guards.ts';
import type { ArrivalTerms } from '../front/arrival.ts';
import { Router } from '../front/router.ts';
import { createSignatureCheck, createSigner } from '../wire/grip-signature.ts';
import { redactor } from '../wire/json-redact.ts';
import { webSocketOverHttp } from '../wire/websocket-over-http.ts';
import type { LoadedConfig, LoadedRoute } from './load.ts';
import type { LoadedPolicy } from './parts.ts';
import { ConfigError } from '../core/problem.ts';

export interface CompileContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly revocations: Revocations;
  readonly programKey: Buffer;
  readonly guards: TargetGuards;
  /** What a route counts: the same object for the same id. */
  readonly statisticsOf: (id: RouteId) => RouteStatistics;
}

/** Everything that a reload replaces. */
export interface World {
  readonly router: Router;
  readonly arrivals: ArrivalTerms;
  readonly routes: readonly Route[];
  /** For publishers. */
  readonly controlHooks: RouteHooks;
  /** Ends policies and connections; for when the last session of its routes is over. */
  dispose(): Promise<void>;
}

const dialects: Readonly<Record<TargetSettings['dialect'], Dialect | undefined>> = {
  'websocket-over-http': webSocketOverHttp,
  relay: undefined,
};

/** How long a connection to a target may take to be made. */
const connectTimeoutMaxMs = 5000;

/** @throws whatever a policy's `create` throws, and ForegateError for keys that are none; what was made by then is disposed of */
export async function compile(loaded: LoadedConfig, context: CompileContext): Promise<World> {
  const compiler = new Compiler(loaded, context);
  try {
    const controlHooks = await compiler.controlHooks();
    await compiler.openTestBackend();
    const routes: Route[] = [];
    for (const route of loaded.routes) routes.push(await compiler.route(route));
    const router = new Router(routes, loaded.settings);
    return { router, arrivals: compiler.arrivals(), routes, controlHooks, dispose: () => compiler.dispose() };
  } catch (thrown) {
    await compiler.dispose();
    throw thrown;
  }
}

type RefuseIdle = (policy: Policy, place: LoadedPolicy['place']) => void;

interface HookTerms {
  /** True for a policy that would do nothing here. */
  readonly isIdle: (policy: Policy) => boolean;
  /** What is said of one. */
  readonly message: string;
  /** What comes before the policies, and behind them. */
  readonly first?: NamedPolicies;
  readonly last?: NamedPolicies;
}

class Compiler {
  readonly #loaded: LoadedConfig;
  readonly #context: CompileContext;
  readonly #signer: Signer | undefined;
  readonly #forwarded: Route['forwarded'];
  readonly #policies: Policy[] = [];
  /** One client for all targets with the same settings, so that they share their connections. */
  readonly #downstreams = new Map<string, HttpDownstream>();
  /** Where a route leads to it. */
  #testBackend: TestBackend | undefined;

  constructor(loaded: LoadedConfig, context: CompileContext) {
    this.#loaded = loaded;
    this.#context = context;
    this.#forwarded = forwardedTerms(loaded.settings);
    const { issuer, key } = loaded.settings.grip;
    this.#signer = key === undefined ? undefined : createSigner({ issuer, key }, context.clock);
  }

  /** @throws ConfigError where a policy would do nothing: with one that seems to protect and does not, nobody looks further */
  async #hooks(
    scope: string,
    policies: readonly LoadedPolicy[],
    { isIdle, message, first = [], last = [] }: HookTerms,
  ): Promise<RouteHooks> {
    const { clock, log, metrics } = this.#context;
    const refuseIdle = (policy: Policy, place: LoadedPolicy['place']): void => {
      if (isIdle(policy)) throw new ConfigError([{ ...place, message }]);
    };
    const made = await this.#list(scope, policies, refuseIdle);
    const rehearsed = dryRun({ log, metrics, clock });
    const asked = made.map(
      ([use, policy], index) => [use, policies[index]?.dryRun === true ? rehearsed(use, policy) : policy] as const,
    );
    return compileHooks([...first, ...asked, ...last], { log, metrics });
  }

  async #list(scope: string, policies: readonly LoadedPolicy[], refuseIdle: RefuseIdle): Promise<NamedPolicies> {
    const made: (readonly [string, Policy])[] = [];
    for (const [index, policy] of policies.entries())
      made.push([policy.use, await this.#policy(`${scope}.${index}`, policy, refuseIdle)]);
    return made;
  }

  async #policy(scope: string, loaded: LoadedPolicy, refuseIdle: RefuseIdle): Promise<Policy> {
    const { definition, place, alternatives } = loaded;
    const { store, clock, log, metrics, revocations, programKey } = this.#context;
    const own = { scope, directory: this.#loaded.directory, trusts: this.#forwarded.trusts };
    const lists: NamedPolicies[] = [];
    for (const [index, list] of alternatives?.entries() ?? [])
      lists.push(await this.#list(`${scope}.${index}`, list, refuseIdle));
    const options = alternatives === undefined ? loaded.options : { of: lists };
    const policy = await created(definition, options, { store, clock, log, metrics, revocations, programKey, ...own }, place);
    this.#policies.push(policy);
    refuseIdle(policy, place);
    return policy;
  }

  /** A policy that has nothing to say about publishing would seem to protect the control API, and would not. */
  controlHooks(): Promise<RouteHooks> {
    const message = 'has no rule for publishing, so it would protect nothing here; who may publish is said by control.auth';
    return this.#hooks('control', this.#loaded.controlPolicies, { isIdle: ({ publish }) => publish === undefined, message });
  }

  /** @throws ForegateError for a key that is none */
  arrivals(): ArrivalTerms {
    const { grip, forwarded, routeHeader, cdnLoop } = this.#loaded.settings;
    return {
      forwarded: this.#forwarded,
      upstream: grip.upstreamKey === undefined ? undefined : createSignatureCheck(grip.upstreamKey, this.#context.clock),
      acceptProto: forwarded?.acceptProto ?? false,
      routeHeader: routeHeader?.toLowerCase(),
      cdnLoop,
    };
  }

  /** The adapter takes credentials behind the policies, which may have used them up; what it tells of the caller is told before them. */
  #routeHooks({ settings: { id }, policies }: LoadedRoute, profile: Profile): Promise<RouteHooks> {
    const { name, take } = profile;
    const message = 'has rules for publishers only, so it would protect nothing here; its place is control.policies';
    const last = take === undefined ? [] : [[`adapter ${name}`, { connect: take }] as const];
    const first = [[`adapter ${name}`, aboutCaller(profile, this.#context.revocations)]] as const;
    return this.#hooks(id, policies, { isIdle: isForPublishers, message, first, last });
  }

  async route(loaded: LoadedRoute): Promise<Route> {
    const { settings } = loaded;
    const profile = loaded.adapter.profile(settings.adapter);
    const [first, ...others] = settings.targets.map((target) => this.#target(target, profile));
    if (first === undefined) throw new TypeError(`Route ${settings.id} has no target.`);
    const id = routeId(settings.id);
    return {
      id,
      match: matchOf(settings.match),
      targets: [first, ...others],
      hooks: await this.#routeHooks(loaded, profile),
      limits: settings.limits,
      grip: settings.grip ? { signer: this.#signerOf(settings) } : undefined,
      cachedHolds: settings.cachedHolds,
      filterRequests: settings.filterRequests,
      channelPrefix: settings.channelPrefix,
      headers: Object.entries(settings.headers).flat(),
      hides: hiddenFields(settings, profile),
      path: pathChange(settings.path),
      sockjs: sockJsTerms(settings.sockjs),
      forwarded: this.#forwarded,
      closeFrames: settings.closeFrames,
      closeCodes: settings.closeCodes.map(({ error, subprotocol, code }) => ({ error, subprotocol, code })),
      pings: settings.pings,
      notifyAfterFailure: settings.notifyAfterFailure,
      slowClients: settings.slowClients,
      onFault: settings.onFault,
      faultText: settings.faultText,
      faultDelay: faultDelay(settings.faultDelay),
      cors: settings.cors,
      jsonp: jsonpTerms(settings.jsonp),
      eventStream: eventStreamTerms(settings.eventStream),
      reload: settings.reload,
      idleMs: toMs(settings.idle),
      debug: settings.debug,
      log: routeLog(settings.log),
      statistics: this.#context.statisticsOf(id),
    };
  }

  async openTestBackend(): Promise<void> {
    const leadsThere = ({ targets }: RouteSettings): boolean => targets.some(({ url }) => url === testBackendUrl);
    if (this.#loaded.routes.some(({ settings }) => leadsThere(settings))) this.#testBackend = await openTestBackend();
  }

  async dispose(): Promise<void> {
    this.#testBackend?.close();
    for (const policy of this.#policies.toReversed()) await policy.dispose?.();
    await Promise.all([...this.#downstreams.values()].map((downstream) => downstream.close()));
  }

  #signerOf({ signature }: RouteSettings): Signer | undefined {
    if (signature === undefined) return this.#signer;
    const { issuer, key } = { ...this.#loaded.settings.grip, ...signature };
    return key === undefined ? undefined : createSigner({ issuer, key }, this.#context.clock);
  }

  #target(written: TargetSettings, profile: Profile): Target {
    const settings = written.url === testBackendUrl ? { ...written, url: this.#testBackend?.origin ?? '' } : written;
    const tls = targetTls(settings);
    const guard = this.#context.guards.of(guardTerms(settings));
    const downstream = this.#downstream(settings, tls);
    return {
      origin: settings.url,
      host: settings.host,
      dialect: dialects[settings.dialect],
      profile,
      downstream: guard === undefined ? downstream : guarded(downstream, guard, profile),
      guard,
      batches: !settings.oneEventPerRequest,
      retry: settings.retry,
      channels: settings.channels.map(channelName),
      timeoutMs: toMs(settings.timeout),
      publicOnly: settings.publicOnly,
      tls,
    };
  }

  #downstream({ url, connections, idle, retry, timeout, publicOnly }: TargetSettings, tls: TargetTls): HttpDownstream {
    const settings: ClientSettings = {
      origin: httpOrigin(url),
      connections,
      idleMs: toMs(idle),
      connectTimeoutMs: Math.min(connectTimeoutMaxMs, toMs(timeout)),
      retry,
      publicOnly,
      tls,
    };
    const key = JSON.stringify(settings);
    const known = this.#downstreams.get(key);
    const downstream = known ?? new HttpDownstream(settings);
    this.#downstreams.set(key, downstream);
    return downstream;
  }
}

function hiddenFields({ hideGateway }: RouteSettings, { hidden = [] }: Profile): Route['hides'] {
  const names = [...(hideGateway ? gatewayFields : []), ...hidden];
  return names.length === 0 ? undefined : namesOf(names);
}

/** What is known of the caller goes out with requests and comes back with replies; who was revoked is not let on. */
function aboutCaller({ restate, identify }: Profile, revocations: Revocations): Policy {
  return {
    ...(restate && { request: (session, draft) => restate(draft, session) }),
    ...(identify && {
      response(session, reply) {
        const identity = identify(session, reply) ? session.identity : undefined;
        return identity !== undefined && revocations.covers(identity) ? deny('revoked', errors.revoked.text) : undefined;
      },
    }),
  };
}

function isForPublishers({ connect, held, message, subscribe, request, response, renew, publish }: Policy): boolean {
  const ofClients = [connect, held, message, subscribe, request, response, renew];
  return publish !== undefined && ofClients.every((hook) => hook === undefined);
}

/** A policy may find fault with its options that no schema can say: told with the place in the file. */
async function created(
  definition: PolicyDefinition,
  options: LoadedPolicy['options'],
  context: PolicyContext,
  place: LoadedPolicy['place'],
): Promise<Policy> {
  try {
    return await definition.create(options, context);
  } catch (thrown) {
    if (!(thrown instanceof ForegateError)) throw thrown;
    throw new ConfigError([{ ...place, message: thrown.message }]);
  }
}

/** What a route takes, as the router compares it. */
export function matchOf({ host, path, template, transports, methods, tls, byId }: RouteSettings['match']): Match {
  return { host: host?.toLowerCase(), path, template, transports, methods, tls, byId };
}

function pathChange(change: RouteSettings['path']): PathChange | undefined {
  if (change?.replace !== undefined) return { replace: change.replace };
  return change?.remove === undefined ? undefined : { remove: change.remove };
}

function sockJsTerms(settings: RouteSettings['sockjs']): Route['sockjs'] {
  if (settings === undefined) return undefined;
  const { path, asPath = path, clientUrl, cookie } = settings;
  return { path, asPath, clientUrl, cookie };
}

function faultDelay({ longest, usual, tries }: RouteSettings['faultDelay']): Route['faultDelay'] {
  return { longestMs: toMs(longest), usualMs: toMs(usual), tries };
}

function jsonpTerms(settings: RouteSettings['jsonp']): Route['jsonp'] {
  if (settings === undefined) return undefined;
  const { mode, callback, body, defaultCallback, method } = settings;
  return { mode, callback, body, defaultCallback, method: method ?? (mode === 'extended' ? 'GET' : 'POST') };
}

function eventStreamTerms({ retry, heartbeat, unbuffered, lastEventId }: RouteSettings['eventStream']): Route['eventStream'] {
  if (retry === undefined && heartbeat === undefined && !unbuffered && !lastEventId) return undefined;
  const ms = (duration: string | undefined): number | undefined => (duration === undefined ? undefined : toMs(duration));
  return { retryMs: ms(retry), heartbeatMs: ms(heartbeat), unbuffered, lastEventId };
}

function routeLog({ connections, messages }: RouteSettings['log']): Route['log'] {
  return connections || messages !== undefined ? { connections, messages: messages && messageLogTerms(messages) } : undefined;
}

function messageLogTerms({ sample, bytes, redact }: NonNullable<RouteSettings['log']['messages']>): MessageLogTerms {
  return { sample, bytes, redact: redact.length === 0 ? undefined : redactor(redact, limits.checkedDepth) };
}

function guardTerms({ url, breaker, inFlight }: TargetSettings): GuardTerms {
  return { origin: url, breaker: breaker && breakerTerms(breaker), inFlight: inFlight && inFlightTerms(inFlight) };
}

function breakerTerms({ window, openFor, ...rest }: NonNullable<TargetSettings['breaker']>): BreakerTerms {
  return { ...rest, windowMs: toMs(window), openForMs: toMs(openFor) };
}

function inFlightTerms({ max, queue, wait, adaptive }: NonNullable<TargetSettings['inFlight']>): InFlightTerms {
  const terms = adaptive && {
    min: adaptive.min,
    latencyMs: adaptive.latency === undefined ? undefined : toMs(adaptive.latency),
    backoff: adaptive.backoff,
  };
  return { max, queue, waitMs: toMs(wait), adaptive: terms };
}

function httpOrigin(url: string): string {
  return url.replace(/^ws/, 'http');
}

function targetTls({ tls }: TargetSettings): TargetTls {
  if (tls === undefined) return {};
  const { verify, ...rest } = tls;
  return { ...rest, rejectUnauthorized: verify };
}

function forwardedTerms({ trustedProxies, stripHeaders, routeHeader, forwarded, cdnLoop }: Settings): Route['forwarded'] {
  return {
    trusts: addressList(trustedProxies),
    strip: [...stripHeaders, ...(routeHeader === undefined ? [] : [routeHeader])].map((name) => name.toLowerCase()),
    rules: forwarded && forwardedRules(forwarded, trustedProxies.length === 0),
    cdnLoop: cdnLoop?.id,
  };
}

function forwardedRules(rules: NonNullable<Settings['forwarded']>, believesAll: boolean): ForwardedRules {
  return { believesAll, for: rules.for, forSigned: rules.forSigned, proto: rules.proto, others: rules.others };
}
