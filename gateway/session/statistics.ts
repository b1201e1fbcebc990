/** The statistics of all routes, through reloads: what a route that is gone has counted stays in the total. */
import type { SessionInfo, StatisticsEntry, StatisticsReport, StatisticsTotal } from '../core/control-host.ts';
import type { RouteId } from '../core/ids.ts';
import {
  intervalSeconds,
  newRouteCounts,
  newRouteStatistics,
  type RouteCounter,
  type RouteCounts,
  type RouteStatistics,
} from '../core/route-statistics.ts';
import type { TargetReport } from '../core/target-guard.ts';
import type { Registered } from './registry.ts';

/** What is looked up when somebody asks. */
export interface StatisticsSources {
  readonly now: () => number;
  readonly sessions: () => Iterable<Pick<Registered, 'route' | 'transport'>>;
  readonly channels: () => number;
  readonly subscriptions: () => number;
  readonly targets: () => readonly TargetReport[];
}

/** The numbers that Pushpin gives to Prometheus. */
export interface PushpinNumbers {
  readonly requestReceived: number;
  readonly connectionConnected: number;
  readonly connectionMinute: number;
  readonly messageReceived: number;
  readonly messageSent: number;
}

export class Statistics {
  /** Published items, in the order of their ids and without those that came twice. */
  received = 0;
  readonly #sources: StatisticsSources;
  readonly #since: number;
  readonly #routes = new Map<RouteId, RouteStatistics>();
  /** Routes of the configuration; another one stays in the list while it has connections. */
  #current: ReadonlySet<RouteId> = new Set();
  readonly #formerCounts = newRouteCounts();
  #formerMinutes = 0;

  constructor(sources: StatisticsSources) {
    this.#sources = sources;
    this.#since = sources.now();
  }

  /** The same for the same id, as long as there is such a route or somebody is connected to it. */
  of(id: RouteId): RouteStatistics {
    const known = this.#routes.get(id);
    if (known !== undefined) return known;
    const made = newRouteStatistics(this.#sources.now());
    this.#routes.set(id, made);
    return made;
  }

  /** The configuration has these routes from now on. */
  keep(ids: Iterable<RouteId>): void {
    this.#current = new Set(ids);
    this.#forgetFormer();
  }

  report(): StatisticsReport {
    this.#forgetFormer();
    const now = this.#sources.now();
    const sessions = this.#countSessions();
    const routes = [...this.#routes].map(([route, statistics]) => ({
      route,
      ...entryOf(statistics, sessions.get(route) ?? noSessions, now),
    }));
    return {
      since: new Date(this.#since).toISOString(),
      durationMs: Math.max(0, now - this.#since),
      intervalSeconds,
      total: this.#total(routes),
      routes,
      targets: this.#sources.targets(),
    };
  }

  /** Without a look at the sessions, since Prometheus asks often. */
  pushpinNumbers(): PushpinNumbers {
    const now = this.#sources.now();
    const numbers = {
      requestReceived: this.#formerCounts.requestsReceived,
      connectionConnected: 0,
      connectionMinute: this.#formerMinutes,
      messageReceived: this.received,
      messageSent: this.#formerCounts.sent,
    };
    for (const { counts, connections } of this.#routes.values()) {
      numbers.requestReceived += counts.requestsReceived;
      numbers.connectionConnected += connections.highest(now);
      numbers.connectionMinute += connections.minutes(now);
      numbers.messageSent += counts.sent;
    }
    return numbers;
  }

  #total(routes: readonly StatisticsEntry[]): StatisticsTotal {
    const former: StatisticsEntry = {
      ...this.#formerCounts,
      ...noConnections,
      connectionMinutes: this.#formerMinutes,
      sessions: noSessions,
    };
    return {
      ...routes.reduce(sumOf, former),
      received: this.received,
      channels: this.#sources.channels(),
      subscriptions: this.#sources.subscriptions(),
    };
  }

  #countSessions(): Map<RouteId, Record<SessionInfo['transport'], number>> {
    const counted = new Map<RouteId, Record<SessionInfo['transport'], number>>();
    for (const { route, transport } of this.#sources.sessions()) {
      let own = counted.get(route.id);
      if (own === undefined) counted.set(route.id, (own = { ...noSessions }));
      own[transport] += 1;
    }
    return counted;
  }

  /** Whoever is connected goes on counting, so a route is forgotten only when nobody is. */
  #forgetFormer(): void {
    for (const [id, { counts, connections }] of this.#routes) {
      if (this.#current.has(id) || connections.open > 0) continue;
      this.#routes.delete(id);
      addCounts(this.#formerCounts, counts);
      this.#formerMinutes += connections.minutes(this.#sources.now());
    }
  }
}

/** Of several processes that hear of all items: at least one report. */
export function mergeReports([first, ...others]: readonly [StatisticsReport, ...StatisticsReport[]]): StatisticsReport {
  return others.reduce(
    (one, other) => ({
      since: one.since < other.since ? one.since : other.since,
      durationMs: Math.max(one.durationMs, other.durationMs),
      intervalSeconds,
      total: {
        ...sumOf(one.total, other.total),
        received: Math.max(one.total.received, other.total.received),
        channels: one.total.channels + other.total.channels,
        subscriptions: one.total.subscriptions + other.total.subscriptions,
      },
      routes: mergeRoutes([...one.routes, ...other.routes]),
      targets: mergeTargets(one.targets, other.targets),
    }),
    first,
  );
}

function mergeRoutes(entries: StatisticsReport['routes']): StatisticsReport['routes'] {
  const merged = new Map<RouteId, StatisticsReport['routes'][number]>();
  for (const entry of entries) {
    const known = merged.get(entry.route);
    merged.set(entry.route, known === undefined ? entry : { route: entry.route, ...sumOf(known, entry) });
  }
  return [...merged.values()];
}

/** The processes have the same targets in the same order, save for a moment of a reload: then all of them are shown. */
function mergeTargets(some: readonly TargetReport[], others: readonly TargetReport[]): readonly TargetReport[] {
  const alike = some.length === others.length && some.every(({ target }, index) => target === others[index]?.target);
  return alike ? some.map((one, index) => mergeTarget(one, others[index])) : [...some, ...others];
}

/** The worst circuit: there at least nobody gets through. */
function mergeTarget({ target, ...one }: TargetReport, { target: _same, ...other }: TargetReport = { target }): TargetReport {
  const circuit = (['open', 'half-open', 'closed'] as const).find((state) => one.circuit === state || other.circuit === state);
  return { target, ...(circuit && { circuit }), ...mergeInFlight(one.inFlight, other.inFlight) };
}

function mergeInFlight(one: TargetReport['inFlight'], other: TargetReport['inFlight']): Pick<TargetReport, 'inFlight'> {
  if (one === undefined || other === undefined) return {};
  const { running, waiting, limit } = one;
  return { inFlight: { running: running + other.running, waiting: waiting + other.waiting, limit: limit + other.limit } };
}

const noSessions = { websocket: 0, stream: 0, response: 0 } as const;
const noConnections = { connections: 0, connectionsHighest: 0 } as const;

function entryOf({ counts, connections }: RouteStatistics, sessions: StatisticsEntry['sessions'], now: number): StatisticsEntry {
  return {
    connections: connections.open,
    connectionsHighest: connections.highest(now),
    connectionMinutes: connections.minutes(now),
    sessions,
    ...counts,
  };
}

/** Pushpin's total too is the sum of what each route had at most. */
function sumOf(one: StatisticsEntry, other: StatisticsEntry): StatisticsEntry {
  const counts = newRouteCounts();
  addCounts(counts, one);
  addCounts(counts, other);
  return {
    connections: one.connections + other.connections,
    connectionsHighest: one.connectionsHighest + other.connectionsHighest,
    connectionMinutes: one.connectionMinutes + other.connectionMinutes,
    sessions: {
      websocket: one.sessions.websocket + other.sessions.websocket,
      stream: one.sessions.stream + other.sessions.stream,
      response: one.sessions.response + other.sessions.response,
    },
    ...counts,
  };
}

function addCounts(to: RouteCounts, from: RouteCounts): void {
  // Object.keys forgets the names it was given.
  for (const name of Object.keys(to) as RouteCounter[]) to[name] += from[name];
}
