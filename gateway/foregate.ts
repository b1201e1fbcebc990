/** The program: makes its parts from a configuration, starts and stops them, and swaps routes and policies on a reload. */
import { randomBytes } from 'node:crypto';
import { controlServer } from './control/server.ts';
import { listChannels, listSessions } from './control/lists.ts';
import { createMetrics, type MetricsText } from './control/metrics.ts';
import { metricsServer } from './control/metrics-server.ts';
import { openZeroMq } from './control/zeromq.ts';
import { Hub } from './channel/hub.ts';
import { compile, type World } from './config/compile.ts';
import { listenerSettings } from './config/listeners.ts';
import type { LoadedConfig } from './config/load.ts';
import { realClock } from './core/clock.ts';
import type { ControlHost, SessionInfo } from './core/control-host.ts';
import { toMs } from './core/duration.ts';
import { errors, type ForegateError } from './core/errors.ts';
import type { Reply } from './core/exchange.ts';
import { silentLog, type Log } from './core/log.ts';
import type { Bus, BusReceiver, Notice, SharedBus } from './core/bus.ts';
import { deny, programKeyBytes, type RouteHooks } from './core/policy.ts';
import { isPromise, type MaybePromise } from './core/promise.ts';
import type { Publication } from './core/publication.ts';
import { isRevokedBy, type Revocation } from './core/revocation.ts';
import { noMetadata } from './core/session.ts';
import type { Settings } from './core/settings.ts';
import type { SharedStore, Store } from './core/store.ts';
import type { TargetReport } from './core/target-guard.ts';
import { createPassThrough } from './downstream/pass-through.ts';
import { createClusterBus } from './engines/cluster-bus.ts';
import type { ClusterMember } from './engines/cluster-member.ts';
import { clusterStore } from './engines/cluster-store.ts';
import { TargetGuards } from './downstream/target-guards.ts';
import { createLocalBus } from './engines/local-bus.ts';
import { memoryStore } from './engines/memory-store.ts';
import { redisBus } from './engines/redis-bus.ts';
import { redisStore } from './engines/redis-store.ts';
import { Front } from './front/front.ts';
import { Listener } from './front/listener.ts';
import { CachedHolds } from './session/cached-holds.ts';
import { FilterRequests } from './session/filter-requests.ts';
import { Links } from './session/links.ts';
import type { HoldParts } from './session/parts.ts';
import { answerRequest, denialReply, errorReply, textReply } from './front/refusal.ts';
import { LastItems } from './channel/last-items.ts';
import { Lingering } from './channel/lingering.ts';
import { createSequencer, type Sequencer } from './channel/sequencer.ts';
import type { ChannelName } from './core/ids.ts';
import { SessionRegistry, type Registered } from './session/registry.ts';
import { RevocationList } from './engines/revocation-list.ts';
import { repeatingSend } from './session/repeat.ts';
import { Statistics } from './session/statistics.ts';
import type { AddressInfo } from 'node:net';
import { answerQuestion, hostOfAll, metricsOfAll, type OwnHost } from './whole-program.ts';
import type { Server } from 'node:http';

export interface Foregate {
  /** Rejects with the system's error where a port is taken. */
  start(): Promise<void>;
  /** Where clients and publishers find it, once it has started. */
  readonly addresses: { readonly clients: readonly string[]; readonly control: string; readonly metrics?: string };
  /** Routes and policies change; ports, limits of the process and the control API's access do not. Rejects without any effect. */
  reload(loaded: LoadedConfig): Promise<Reloaded>;
  /** Takes nothing new, closes what is open with 1012, tells backends, and is done within the configured time. */
  stop(): Promise<void>;
}

export interface Reloaded {
  readonly routes: number;
  /** Sessions that go on under the rules they began with. */
  readonly kept: number;
  /** Sessions that are being closed with 1012. */
  readonly drained: number;
}

/** @throws whatever compiling the configuration throws */
export async function createForegate(loaded: LoadedConfig, options: { readonly log?: Log } = {}): Promise<Foregate> {
  return compiled(new Program(loaded, options.log ?? silentLog), loaded);
}

/** The same as one of several workers, which share ports, counts and leases. @throws whatever compiling the configuration throws */
export function createWorker(
  loaded: LoadedConfig,
  { log, member }: { readonly log: Log; readonly member: ClusterMember },
): Promise<Foregate> {
  return compiled(new Program(loaded, log, member), loaded);
}

async function compiled(program: Program, loaded: LoadedConfig): Promise<Foregate> {
  await program.compile(loaded);
  return program;
}

/** How often it is looked whether the sessions of replaced routes are over. */
const retireEveryMs = 1000;
/** What a stop may take beyond the drain time: for answers that are on their way. */
const stopGraceMs = 500;

class Program implements Foregate {
  readonly #loaded: LoadedConfig;
  readonly #log: Log;
  /** Undefined where this process is the whole program. */
  readonly #member: ClusterMember | undefined;
  readonly #programKey: Buffer;
  readonly #host: OwnHost;
  readonly #metrics: ReturnType<typeof createMetrics>;
  readonly #statistics: Statistics;
  readonly #sharedStore: SharedStore | undefined;
  readonly #store: Store;
  readonly #registry: SessionRegistry;
  readonly #hub: Hub;
  readonly #sequencer: Sequencer;
  readonly #sharedBus: SharedBus | undefined;
  readonly #bus: Bus;
  readonly #lingering: Lingering;
  readonly #lastItems = new LastItems(realClock);
  readonly #links = new Links();
  readonly #revocations = new RevocationList(realClock);
  readonly #guards: TargetGuards;
  readonly #filterRequests: FilterRequests;
  readonly #listeners: Listener[];
  readonly #control: Server;
  readonly #metricsPort: Server | undefined;
  /** Replaced worlds whose sessions are not over. */
  readonly #retired = new Set<World>();
  #zeroMq: Awaited<ReturnType<typeof openZeroMq>>;
  #world: World | undefined;
  #retiring: NodeJS.Timeout | undefined;
  #accepts = false;
  #stopping: Promise<void> | undefined;

  constructor(loaded: LoadedConfig, log: Log, member?: ClusterMember) {
    this.#loaded = loaded;
    this.#log = log;
    this.#member = member;
    this.#programKey = member?.programKey ?? randomBytes(programKeyBytes);
    this.#registry = new SessionRegistry(realClock.now);
    const channels = (): number => this.#hub.channelCount;
    const subscriptions = (): number => this.#hub.subscriptionCount;
    const targets = (): readonly TargetReport[] => this.#guards.report();
    const sessions = (): Iterable<Registered> => this.#registry.live();
    this.#statistics = new Statistics({ now: realClock.now, sessions, channels, subscriptions, targets });
    this.#metrics = createMetrics(
      {
        sessions: () => this.#registry.size,
        channels,
        subscriptions,
        pushpin: () => this.#statistics.pushpinNumbers(),
        storeUp: () => !this.#sharedStore?.away,
        targets,
        busUp: () => !this.#sharedBus?.away,
      },
      loaded.settings.metrics.prefix,
    );
    const { store } = loaded.settings;
    this.#sharedStore = store.use === 'redis' ? redisStore({ settings: store, log, metrics: this.#metrics }) : undefined;
    this.#store = this.#sharedStore ?? (member === undefined ? memoryStore() : clusterStore(member));
    this.#hub = new Hub({ want: (channel, wanted) => this.#want(channel, wanted), log, metrics: this.#metrics });
    this.#guards = new TargetGuards({ clock: realClock, log, metrics: this.#metrics });
    this.#filterRequests = new FilterRequests({ clock: realClock, metrics: this.#metrics });
    this.#sequencer = createSequencer({
      clock: realClock,
      metrics: this.#metrics,
      deliver: (publication) => {
        this.#lastItems.note(publication);
        this.#statistics.received += 1;
        this.#hub.receive(publication);
      },
      hasSubscribers: (channel) => this.#hub.has(channel) || this.#lingering.has(channel),
      settings: sequencerSettings(loaded.settings),
    });
    this.#lingering = new Lingering(realClock, toMs(loaded.settings.holds.linger), (channel) => {
      this.#sequencer.forget(channel);
      this.#unwant(channel);
    });
    const receiver: BusReceiver = {
      deliver: (publication) => this.#sequencer.receive(publication),
      notice: (notice) => this.#heedSafely(notice),
    };
    const { bus } = loaded.settings;
    this.#sharedBus = bus.use === 'redis' ? redisBus({ settings: bus, receiver, log, metrics: this.#metrics }) : undefined;
    this.#bus = this.#sharedBus ?? (member === undefined ? createLocalBus(receiver) : createClusterBus(member, receiver));
    this.#host = this.#ownHost();
    const front = this.#makeFront();
    this.#listeners = listenerSettings(loaded).map((one) => new Listener(one, front, log, member !== undefined));
    this.#control = this.#makeControl();
    this.#metricsPort = this.#makeMetricsPort();
  }

  async compile(loaded: LoadedConfig): Promise<void> {
    try {
      this.#world = await this.#compiled(loaded);
    } finally {
      this.#guards.keep(this.#world?.routes ?? []);
    }
    this.#statistics.keep(this.#world.routes.map(({ id }) => id));
  }

  #compiled(loaded: LoadedConfig): Promise<World> {
    return compile(loaded, {
      store: this.#store,
      clock: realClock,
      log: this.#log,
      metrics: this.#metrics,
      revocations: this.#revocations,
      programKey: this.#programKey,
      guards: this.#guards,
      statisticsOf: (id) => this.#statistics.of(id),
    });
  }

  async start(): Promise<void> {
    const { control, metrics } = this.#loaded.settings;
    try {
      await this.#sharedStore?.open();
      await this.#sharedBus?.open();
      await listen(this.#control, control.host, control.port);
      if (this.#metricsPort !== undefined) await listen(this.#metricsPort, metrics.host, metrics.port ?? 0);
      await this.#openZeroMq();
      await this.#join(); // Before clients come: what was revoked is known then.
      for (const listener of this.#listeners) await listener.listen();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    this.#accepts = true;
  }

  get addresses() {
    const scheme = this.#loaded.settings.control.tls === undefined ? 'http' : 'https';
    return {
      clients: this.#listeners.map((listener) => listener.address),
      control: `${scheme}://${addressOf(this.#control)}`,
      ...(this.#metricsPort && { metrics: `http://${addressOf(this.#metricsPort)}` }),
    };
  }

  async reload(loaded: LoadedConfig): Promise<Reloaded> {
    const old = this.#world;
    await this.compile(loaded);
    const leaving = [...this.#registry.live()].filter(({ route }) => route.reload === 'drain');
    const kept = [...this.#registry.live()].length - leaving.length;
    void this.#endSlowly(leaving, toMs(loaded.settings.drain));
    if (old !== undefined) this.#retire(old);
    return { routes: loaded.routes.length, kept, drained: leaving.length };
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#accepts = false;
    for (const listener of this.#listeners) listener.stopAccepting();
    const drainMs = toMs(this.#loaded.settings.drain);
    for (const session of this.#registry.all()) session.end(restarting);
    await this.#registry.empty(drainMs + stopGraceMs);
    for (const listener of this.#listeners) listener.close();
    for (const session of this.#registry.live()) session.drop();
    this.#zeroMq?.close();
    for (const server of [this.#control, this.#metricsPort]) {
      server?.close();
      server?.closeAllConnections();
    }
    clearTimeout(this.#retiring);
    this.#registry.close();
    for (const world of [this.#world, ...this.#retired]) await world?.dispose();
    this.#lingering.close();
    await this.#links.close();
    await this.#filterRequests.close();
    await this.#bus.close();
    await this.#store.close();
  }

  /** Spread over the time, so that clients do not come back all at once. */
  async #endSlowly(sessions: readonly Registered[], overMs: number): Promise<void> {
    for (const session of sessions) {
      session.end(restarting);
      await new Promise((resolve) => setTimeout(resolve, overMs / sessions.length));
    }
  }

  #retire(world: World): void {
    this.#retired.add(world);
    this.#retiring ??= setInterval(() => void this.#disposeRetired(), retireEveryMs).unref();
  }

  async #disposeRetired(): Promise<void> {
    const used = new Set([...this.#registry.all()].map(({ route }) => route)); // A backend may still have to be told of the end.
    for (const world of this.#retired) {
      if (world.routes.some((route) => used.has(route))) continue;
      this.#retired.delete(world);
      await world.dispose();
    }
    if (this.#retired.size > 0) return;
    clearInterval(this.#retiring);
    this.#retiring = undefined;
  }

  /** What lingers goes on being heard of: else its last id would not be the last. */
  #want(channel: ChannelName, wanted: boolean): MaybePromise<void> {
    if (!wanted) return this.#lingering.left(channel);
    this.#lingering.joined(channel);
    if (this.#member === undefined) this.#zeroMq?.want(channel, true);
    return this.#bus.want(channel, true);
  }

  #unwant(channel: ChannelName): void {
    if (this.#member === undefined) this.#zeroMq?.want(channel, false);
    const told = this.#bus.want(channel, false);
    if (isPromise(told)) told.catch((error: unknown) => this.#log.warn('bus.want-failed', { channel, error }));
  }

  /** The first worker has the ZeroMQ sockets, and asks publishers for the channels of all. */
  async #join(): Promise<void> {
    await this.#member?.join(
      {
        answer: (question) => answerQuestion(this.#host, this.#metrics, question),
        wanted: (channel, wanted) => this.#zeroMq?.want(channel, wanted),
      },
      { collector: this.#zeroMq !== undefined },
    );
  }

  #makeFront(): Front {
    const sessions: HoldParts = {
      hub: this.#hub,
      registry: this.#registry,
      metrics: this.#metrics,
      log: this.#log,
      clock: realClock,
      send: repeatingSend(this.#metrics),
      filterRequests: this.#filterRequests,
      links: this.#links,
      lastId: (channel) => this.#sequencer.lastId(channel),
      missedSince: this.#loaded.settings.holds.recheck
        ? (channel, sinceMs, previousId) => this.#lastItems.isMissed(channel, sinceMs, previousId)
        : () => false,
      cachedHolds: new CachedHolds(realClock, this.#log),
      answer: answerRequest,
      denialReply,
      errorReply: holdErrorReply,
    };
    return new Front({
      sessions,
      passThrough: createPassThrough({ clock: realClock, log: this.#log }),
      router: () => this.#current.router,
      arrivals: () => this.#current.arrivals,
      limits: this.#loaded.settings.limits,
      revocations: this.#revocations,
      accepts: () => this.#accepts,
    });
  }

  #makeControl(): Server {
    const { control, limits } = this.#loaded.settings;
    return controlServer(
      {
        host: this.#controlHost(),
        hooks: this.#publisherHooks(),
        auth: control.auth,
        limits,
        metricsText: () => this.#metricsText(),
        log: this.#log,
      },
      { tls: control.tls },
    );
  }

  /** Of the configuration that holds by then. */
  #publisherHooks(): Pick<RouteHooks, 'publish'> {
    const publishHooks = (): RouteHooks['publish'] => this.#current.controlHooks.publish;
    return {
      get publish() {
        return publishHooks();
      },
    };
  }

  async #openZeroMq(): Promise<void> {
    const { control, limits } = this.#loaded.settings;
    if (control.zeromq === undefined || (this.#member !== undefined && this.#member.number > 1)) return;
    const hooks = this.#publisherHooks();
    const parts = { host: this.#controlHost(), hooks, limits, log: this.#log, metrics: this.#metrics, settings: control.zeromq };
    this.#zeroMq = await openZeroMq(parts);
  }

  #makeMetricsPort(): Server | undefined {
    if (this.#loaded.settings.metrics.port === undefined) return undefined;
    return metricsServer({ metricsText: () => this.#metricsText(), log: this.#log });
  }

  #metricsText(): Promise<MetricsText> {
    return this.#member === undefined ? this.#metrics.text() : metricsOfAll(this.#metrics, this.#member);
  }

  get #current(): World {
    if (this.#world === undefined) throw new TypeError('The configuration is not compiled yet.');
    return this.#world;
  }

  #everywhere(notice: Notice): void {
    this.#heed(notice);
    this.#bus.tell(notice);
  }

  /** Who told it is not here to hear of a failure. A revocation may come again. */
  #heedSafely(notice: Notice): void {
    if (notice.kind === 'revoke' && this.#revocations.has(notice.revocation)) return;
    try {
      this.#heed(notice);
    } catch (error) {
      this.#log.error('notice.failed', { kind: notice.kind, error });
    }
  }

  #heed(notice: Notice): void {
    switch (notice.kind) {
      case 'revoke':
        return void this.#revoke(notice.revocation);
      case 'recover':
        return this.#recover();
      case 'refresh-channel':
        return this.#hub.receive({ channel: notice.channel, meta: noMetadata, formats: { message: { action: 'refresh' } } });
      case 'passed':
        return this.#passed(notice);
    }
  }

  /** As with an item that comes and finds no subscriber. */
  #passed(item: { readonly channel: ChannelName; readonly id?: string }): void {
    if (!this.#sequencer.pass(item.channel, item.id)) return;
    this.#lastItems.note(item);
    this.#statistics.received += 1;
  }

  #recover(): void {
    this.#sequencer.forgetAll();
    this.#lastItems.forget();
    for (const session of this.#registry.live()) session.recover();
  }

  /** Also of those whose handshake is not answered; returns how many were open. */
  #revoke(revocation: Revocation): number {
    this.#revocations.add(revocation);
    let ended = 0;
    for (const session of this.#registry.all()) {
      if (session.identity === undefined || !isRevokedBy(revocation, session.identity)) continue;
      if (session.live) ended += 1;
      session.end(revoked);
    }
    this.#log.info('credentials.revoked', { of: revocation.of, ended });
    return ended;
  }

  #controlHost(): ControlHost {
    const own = this.#host;
    if (this.#member !== undefined) return hostOfAll(own, this.#member);
    return {
      ...own,
      revoke: (revocation) => {
        const ended = own.revoke(revocation);
        this.#bus.tell({ kind: 'revoke', revocation });
        return ended;
      },
    };
  }

  #ownHost(): OwnHost {
    const registry = this.#registry;
    return {
      publish: (items) => this.#publish(items),
      refresh: (id) => {
        const session = registry.get(id);
        session?.ask();
        return session !== undefined;
      },
      refreshChannel: (channel) => this.#everywhere({ kind: 'refresh-channel', channel }),
      recover: () => this.#everywhere({ kind: 'recover' }),
      revoke: (revocation) => this.#revoke(revocation),
      renew: (id, token) => registry.renew(id, token),
      openOf: (ids) => ids.filter((id) => registry.get(id) !== undefined),
      sessions: (filter) => listSessions(this.#sessionInfos(), filter),
      session: (id) => registry.get(id)?.info(),
      channels: (filter) => listChannels(this.#hub.channels(), filter),
      channelsOf: (names) => this.#hub.infosOf(names),
      statistics: () => this.#statistics.report(),
      ready: () => this.#accepts && !(this.#sharedStore?.away && this.#loaded.settings.store.whenAway === 'deny'),
      store: () => this.#sharedStore && (this.#sharedStore.away ? 'away' : 'up'),
      bus: () => this.#sharedBus && (this.#sharedBus.away ? 'away' : 'up'),
    };
  }

  *#sessionInfos(): Generator<SessionInfo> {
    for (const session of this.#registry.live()) yield session.info();
  }

  #publish(items: readonly Publication[]): MaybePromise<void> {
    this.#metrics.count('publications', items.length);
    let waiting: Promise<void>[] | undefined;
    for (const item of items) {
      const publishing = this.#bus.publish(item);
      if (isPromise(publishing)) (waiting ??= []).push(publishing);
    }
    return waiting && Promise.all(waiting).then(() => undefined);
  }
}

const revoked = deny('revoked', errors.revoked.text);
const restarting = deny('shutting-down', errors['shutting-down'].text);

/** What is wrong with a reply is told in debug mode, what is wrong with a request always (GRIP 4.1, 4.4). */
function holdErrorReply({ code, message, retryAfterMs }: ForegateError, debug: boolean): Reply {
  if (code === 'bad-request') return textReply(errors[code].status, message, []);
  const detail = `${code === 'bad-reply' ? 'Failed to parse accept instructions: ' : ''}${message}`;
  return errorReply(code, debug ? detail : undefined, retryAfterMs);
}

function sequencerSettings({ publish }: Settings): { readonly waitMs: number; readonly duplicateMemoryMs: number } {
  return { waitMs: toMs(publish.waitForEarlier), duplicateMemoryMs: toMs(publish.rememberIds) };
}

function addressOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo; // A TCP server that listens has one.
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
