/** The program: makes its parts from a configuration, starts and stops them, and swaps routes and policies on a reload. */
import { controlServer } from './control/server.ts';
import { createMetrics } from './control/metrics.ts';
import { metricsServer } from './control/metrics-server.ts';
import { openZeroMq } from './control/zeromq.ts';
import { Hub } from './channel/hub.ts';
import { compile, type World } from './config/compile.ts';
import { listenerSettings } from './config/listeners.ts';
import type { LoadedConfig } from './config/load.ts';
import { realClock } from './core/clock.ts';
import type { ControlHost } from './core/control-host.ts';
import { toMs } from './core/duration.ts';
import { errors, type ForegateError } from './core/errors.ts';
import type { Reply } from './core/exchange.ts';
import { silentLog, type Log } from './core/log.ts';
import type { Bus, Notice } from './core/bus.ts';
import { deny, type RouteHooks } from './core/policy.ts';
import { isPromise, type MaybePromise } from './core/promise.ts';
import { isRevokedBy, type Revocation } from './core/revocation.ts';
import { noMetadata } from './core/session.ts';
import type { Settings } from './core/settings.ts';
import type { SharedStore, Store } from './core/store.ts';
import type { TargetReport } from './core/target-guard.ts';
import { createPassThrough } from './downstream/pass-through.ts';
import { TargetGuards } from './downstream/target-guards.ts';
import { createLocalBus } from './engines/local-bus.ts';
import { memoryStore } from './engines/memory-store.ts';
import { redisStore } from './engines/redis-store.ts';
import { Front } from './front/front.ts';
import { Listener } from './front/listener.ts';
import { FilterRequests } from './session/filter-requests.ts';
import { Links } from './session/links.ts';
import type { HoldParts } from './session/parts.ts';
import { answerRequest, denialReply, errorReply, textReply } from './front/refusal.ts';
import { LastItems } from './channel/last-items.ts';
import { Lingering } from './channel/lingering.ts';
import { createSequencer, type Sequencer } from './channel/sequencer.ts';
import type { ChannelName } from './core/ids.ts';
import { SessionRegistry, type Registered } from './session/registry.ts';
import { RevocationList } from './session/revocation-list.ts';
import { repeatingSend } from './session/repeat.ts';
import { Statistics } from './session/statistics.ts';
import type { AddressInfo } from 'node:net';
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
  const program = new Program(loaded, options.log ?? silentLog);
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
  readonly #metrics: ReturnType<typeof createMetrics>;
  readonly #statistics: Statistics;
  readonly #sharedStore: SharedStore | undefined;
  readonly #store: Store;
  readonly #registry: SessionRegistry;
  readonly #hub: Hub;
  readonly #sequencer: Sequencer;
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

  constructor(loaded: LoadedConfig, log: Log) {
    this.#loaded = loaded;
    this.#log = log;
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
      },
      loaded.settings.metrics.prefix,
    );
    const { store } = loaded.settings;
    this.#sharedStore = store.use === 'redis' ? redisStore({ settings: store, log, metrics: this.#metrics }) : undefined;
    this.#store = this.#sharedStore ?? memoryStore();
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
      this.#zeroMq?.want(channel, false);
    });
    this.#bus = createLocalBus({
      deliver: (publication) => this.#sequencer.receive(publication),
      notice: (notice) => this.#heed(notice),
    });
    const front = this.#makeFront();
    this.#listeners = listenerSettings(loaded).map((one) => new Listener(one, front, log));
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
      guards: this.#guards,
      statisticsOf: (id) => this.#statistics.of(id),
    });
  }

  async start(): Promise<void> {
    const { control, metrics } = this.#loaded.settings;
    try {
      await this.#sharedStore?.open();
      await listen(this.#control, control.host, control.port);
      if (this.#metricsPort !== undefined) await listen(this.#metricsPort, metrics.host, metrics.port ?? 0);
      await this.#openZeroMq();
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

  #want(channel: ChannelName, wanted: boolean): MaybePromise<void> {
    if (wanted) this.#lingering.joined(channel);
    else this.#lingering.left(channel);
    if (wanted) this.#zeroMq?.want(channel, true);
    return this.#bus.want(channel, wanted);
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
        metricsText: () => this.#metrics.text(),
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
    if (control.zeromq === undefined) return;
    const hooks = this.#publisherHooks();
    const parts = { host: this.#controlHost(), hooks, limits, log: this.#log, metrics: this.#metrics, settings: control.zeromq };
    this.#zeroMq = await openZeroMq(parts);
  }

  #makeMetricsPort(): Server | undefined {
    if (this.#loaded.settings.metrics.port === undefined) return undefined;
    return metricsServer({ metricsText: () => this.#metrics.text(), log: this.#log });
  }

  get #current(): World {
    if (this.#world === undefined) throw new TypeError('The configuration is not compiled yet.');
    return this.#world;
  }

  #everywhere(notice: Notice): void {
    this.#heed(notice);
    this.#bus.tell(notice);
  }

  #heed(notice: Notice): void {
    switch (notice.kind) {
      case 'revoke':
        return void this.#revoke(notice.revocation);
      case 'recover':
        return this.#recover();
      case 'refresh-channel':
        return this.#hub.receive({ channel: notice.channel, meta: noMetadata, formats: { message: { action: 'refresh' } } });
    }
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
    const registry = this.#registry;
    return {
      publish: (items) => {
        this.#metrics.count('publications', items.length);
        for (const item of items) {
          const publishing = this.#bus.publish(item);
          if (isPromise(publishing)) void publishing.catch((error: unknown) => this.#log.error('publish.failed', { error }));
        }
      },
      refresh: (id) => {
        const session = registry.get(id);
        session?.ask();
        return session !== undefined;
      },
      refreshChannel: (channel) => this.#everywhere({ kind: 'refresh-channel', channel }),
      recover: () => this.#everywhere({ kind: 'recover' }),
      revoke: (revocation) => {
        const ended = this.#revoke(revocation);
        this.#bus.tell({ kind: 'revoke', revocation });
        return ended;
      },
      has: (id) => registry.get(id) !== undefined,
      *sessions() {
        for (const session of registry.live()) yield session.info();
      },
      session: (id) => registry.get(id)?.info(),
      channels: () => this.#hub.channels(),
      statistics: () => this.#statistics.report(),
      ready: () => this.#accepts && !(this.#sharedStore?.away && this.#loaded.settings.store.whenAway === 'deny'),
      store: () => this.#sharedStore && (this.#sharedStore.away ? 'away' : 'up'),
    };
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
