/** The program's counters and gauges for Prometheus, those of Pushpin (GRIP 8.8) and the usual ones of a Node process. */
import {
  AggregatorRegistry,
  collectDefaultMetrics,
  Counter,
  Gauge,
  Registry,
  type MetricObjectWithValues,
  type MetricValue,
} from 'prom-client';
import { counters, routeCounters, type Metrics } from '../core/metrics.ts';
import type { CircuitState, TargetReport } from '../core/target-guard.ts';
import type { PushpinNumbers } from '../session/statistics.ts';

/** Where the gauges look when somebody asks. */
export interface GaugeSources {
  readonly sessions: () => number;
  readonly channels: () => number;
  readonly subscriptions: () => number;
  readonly pushpin: () => PushpinNumbers;
  /** Whether the store counts. */
  readonly storeUp: () => boolean;
  readonly targets: () => readonly TargetReport[];
  /** Whether the bus carries. */
  readonly busUp: () => boolean;
}

export interface MetricsText {
  readonly type: string;
  readonly text: string;
}

/** The metrics of one process, as values. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

export interface ProcessMetrics extends Metrics {
  text(): Promise<MetricsText>;
  values(): Promise<MetricValues>;
}

/** What several processes have, together: sums, unless a metric says otherwise. */
export async function textOfAll(processes: readonly MetricValues[]): Promise<MetricsText> {
  const registry = AggregatorRegistry.aggregate(processes.map((values) => [...values]));
  return { type: registry.contentType, text: await registry.metrics() };
}

/** A registry of its own each time, so several programs fit into one process. `prefix` stands before the names of Pushpin. */
export function createMetrics(sources: GaugeSources, prefix = ''): ProcessMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const byName = { ...makeCounters(registry, counters, []), ...makeCounters(registry, routeCounters, ['route']) };
  makeGauges(registry, sources);
  makeTargetGauges(registry, sources.targets);
  makePushpin(registry, sources.pushpin, prefix);
  return {
    // A counter without labels costs some nanoseconds: no need to keep numbers of our own.
    count(name, by = 1, route?) {
      if (route === undefined) byName[name].inc(by);
      else byName[name].inc({ route }, by);
    },
    text: async () => ({ type: registry.contentType, text: await registry.metrics() }),
    values: () => registry.getMetricsAsJSON(),
  };
}

function makeCounters<Name extends string>(
  registry: Registry,
  texts: Readonly<Record<Name, string>>,
  labelNames: readonly string[],
): Readonly<Record<Name, Counter>> {
  const made = Object.entries<string>(texts).map(([name, help]) => [
    name,
    new Counter({ name: `foregate_${name}_total`, help, labelNames, registers: [registry] }),
  ]);
  // Object.fromEntries forgets the names it was given.
  return Object.fromEntries(made) as Record<Name, Counter>;
}

const gaugeTexts = {
  sessions: 'Open sessions.',
  channels: 'Channels with subscribers.',
  subscriptions: 'Subscriptions of all sessions.',
  store_up: 'Whether the store counts: 1, or 0 while it is away.',
  bus_up: 'Whether the bus carries publications to other machines: 1, or 0 while it is away.',
} as const;

function makeGauges(registry: Registry, sources: GaugeSources): void {
  makeGauge(registry, 'sessions', sources.sessions);
  makeGauge(registry, 'channels', sources.channels);
  makeGauge(registry, 'subscriptions', sources.subscriptions);
  makeGauge(registry, 'store_up', () => Number(sources.storeUp()), 'min');
  makeGauge(registry, 'bus_up', () => Number(sources.busUp()), 'min');
}

const targetGauges = [
  {
    name: 'target_circuit',
    help: 'Circuit of a target with a breaker, by `target`: 0 closed, 1 half-open, 2 open.',
    read: ({ circuit }: TargetReport) => (circuit === undefined ? undefined : circuitNumbers[circuit]),
    aggregator: 'max',
  },
  {
    name: 'target_in_flight',
    help: 'Requests in flight to a target with `inFlight`, by `target`.',
    read: ({ inFlight }: TargetReport) => inFlight?.running,
    aggregator: 'sum',
  },
  {
    name: 'target_waiting',
    help: 'Requests that wait for a target with `inFlight`, by `target`.',
    read: ({ inFlight }: TargetReport) => inFlight?.waiting,
    aggregator: 'sum',
  },
  {
    name: 'target_in_flight_limit',
    help: 'Requests that may be in flight to a target with `inFlight` now, by `target`.',
    read: ({ inFlight }: TargetReport) => inFlight?.limit,
    aggregator: 'sum',
  },
] as const;

const circuitNumbers: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 };

/** Of a place that stands in the file with several terms, the highest number is shown. */
function makeTargetGauges(registry: Registry, targets: GaugeSources['targets']): void {
  for (const { name, help, read, aggregator } of targetGauges) {
    const made: Gauge = new Gauge({
      name: `foregate_${name}`,
      help,
      labelNames: ['target'],
      registers: [registry],
      aggregator,
      collect() {
        made.reset();
        for (const [target, value] of highest(targets(), read)) made.set({ target }, value);
      },
    });
  }
}

function highest(targets: readonly TargetReport[], read: (one: TargetReport) => number | undefined): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const one of targets) {
    const value = read(one);
    if (value !== undefined) numbers.set(one.target, Math.max(value, numbers.get(one.target) ?? 0));
  }
  return numbers;
}

function makeGauge(
  registry: Registry,
  name: keyof typeof gaugeTexts,
  read: () => number,
  aggregator: 'sum' | 'min' = 'sum',
): Gauge {
  return new Gauge({
    name: `foregate_${name}`,
    help: gaugeTexts[name],
    aggregator,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** Names, types and texts are those of Pushpin, so that its dashboards go on. */
const pushpinMetrics = [
  { name: 'request_received', of: 'requestReceived', type: Counter, help: 'Number of requests received' },
  { name: 'connection_connected', of: 'connectionConnected', type: Gauge, help: 'Number of concurrent connections' },
  { name: 'connection_minute', of: 'connectionMinute', type: Counter, help: 'Number of minutes clients have been connected' },
  { name: 'message_received', of: 'messageReceived', type: Counter, help: 'Number of messages received by the publish API' },
  { name: 'message_sent', of: 'messageSent', type: Counter, help: 'Number of messages sent to clients' },
] as const satisfies readonly { readonly of: keyof PushpinNumbers; readonly [key: string]: unknown }[];

function makePushpin(registry: Registry, read: () => PushpinNumbers, prefix: string): void {
  for (const { name, of, type, help } of pushpinMetrics) {
    const made: Counter | Gauge = new type({
      name: `${prefix}${name}`,
      help,
      aggregator: of === 'messageReceived' ? 'max' : 'sum', // Every worker hears of every item.
      registers: [registry],
      collect() {
        made.reset();
        made.inc(read()[of]);
      },
    });
  }
}
