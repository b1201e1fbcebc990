/** The program's counters and gauges for Prometheus, beside the usual ones of a Node process. */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { counters, routeCounters, type Metrics } from '../core/metrics.ts';

/** Where the gauges look when somebody asks. */
export interface GaugeSources {
  readonly sessions: () => number;
  readonly channels: () => number;
  readonly subscriptions: () => number;
}

export interface MetricsText {
  readonly type: string;
  readonly text: string;
}

/** A registry of its own each time, so several programs fit into one process. */
export function createMetrics(sources: GaugeSources): Metrics & { text(): Promise<MetricsText> } {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const byName = { ...makeCounters(registry, counters, []), ...makeCounters(registry, routeCounters, ['route']) };
  makeGauges(registry, sources);
  return {
    // A counter without labels costs some nanoseconds: no need to keep numbers of our own.
    count(name, by = 1, route?) {
      if (route === undefined) byName[name].inc(by);
      else byName[name].inc({ route }, by);
    },
    text: async () => ({ type: registry.contentType, text: await registry.metrics() }),
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
} as const satisfies Record<keyof GaugeSources, string>;

function makeGauges(registry: Registry, sources: GaugeSources): void {
  makeGauge(registry, 'sessions', sources.sessions);
  makeGauge(registry, 'channels', sources.channels);
  makeGauge(registry, 'subscriptions', sources.subscriptions);
}

function makeGauge(registry: Registry, name: keyof typeof gaugeTexts, read: () => number): Gauge {
  return new Gauge({
    name: `foregate_${name}`,
    help: gaugeTexts[name],
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
