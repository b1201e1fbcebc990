/** Measures one scenario on one running target: load from outside, CPU and memory of its processes, counters of the backend. */
import { setTimeout as after } from 'node:timers/promises';
import { runLoad, startLoad, type LoadMode, type LoadOptions, type LoadResult, type LoadSteps } from './load.ts';
import { cpuSeconds, machineTime, memoryKb, type MachineTime } from './processes.ts';
import type { Figures } from './result.ts';
import type {
  ConnectScenario,
  EchoScenario,
  FanOutScenario,
  IdleScenario,
  MixedScenario,
  PlainScenario,
  PollScenario,
  Scenario,
} from './scenarios.ts';
import { backendPort, subscribePath, type Target } from './targets.ts';

/** What is running, and for how long it is measured. */
export interface Subject {
  readonly target: Target;
  /** The process whose tree is weighed. */
  readonly pid: number;
  readonly durationSeconds: number;
}

const warmSeconds = 1.5;
/** Connections that are opened at a time before the measuring. */
const openedAtOnce = 32;
const publicationBytes = 100;
const publishesMax = 200_000;
const publisherConnectionsMax = 32;

export async function measure(scenario: Scenario, subject: Subject): Promise<Figures> {
  switch (scenario.kind) {
    case 'echo':
      return measureEcho(scenario, subject);
    case 'fan-out':
      return weighed(subject, 'fanout', fanOutOptions(scenario, subject));
    case 'mixed':
      return measureMixed(scenario, subject);
    case 'idle':
      return measureIdle(scenario, subject);
    case 'connect':
      return measureConnect(scenario, subject);
    case 'plain':
      return measurePlain(scenario, subject);
    case 'poll':
      return measurePoll(scenario, subject);
  }
}

function measureEcho({ clients, burst = 1, messageBytes = 20 }: EchoScenario, subject: Subject): Promise<Figures> {
  const { target, durationSeconds } = subject;
  return weighed(subject, 'echo', {
    ...doors(target),
    path: target.paths.echo ?? '',
    conns: clients,
    burst,
    size: messageBytes,
    warm: warmSeconds,
    dur: durationSeconds,
  });
}

function measurePlain({ clients }: PlainScenario, subject: Subject): Promise<Figures> {
  const { target, durationSeconds } = subject;
  return weighed(subject, 'http', {
    ...doors(target),
    path: target.paths.plain ?? '',
    conns: clients,
    warm: warmSeconds,
    dur: durationSeconds,
  });
}

function measureConnect({ clients, atOnce }: ConnectScenario, subject: Subject): Promise<Figures> {
  return weighed(subject, 'conn', {
    ...doors(subject.target),
    path: subject.target.paths.echo ?? '',
    conns: clients,
    conc: atOnce,
  });
}

/** A round begins when all requests have come to the backend, or the gateway can be told to hold them without one. */
function measurePoll({ clients, times }: PollScenario, subject: Subject): Promise<Figures> {
  const { target } = subject;
  const options = {
    ...doors(target),
    path: (target.paths.poll ?? '').replaceAll('%C', 'room'),
    channel: 'room',
    conns: clients,
    rounds: times,
    size: publicationBytes,
    pubport: target.publish?.port ?? 0,
    pubpath: target.publish?.path ?? '',
    pubbody: target.publish?.pollBody ?? '',
    maxs: 90,
  };
  return weighed(subject, 'poll', options, { ready: () => seenByBackend(clients) });
}

/** Resolves when the backend has had so many requests since its counters began, or after five seconds. */
async function seenByBackend(requests: number): Promise<void> {
  for (let wait = 0; wait < 100; wait += 1) {
    if (((await backendCounters('/_stats')).get('requests') ?? 0) >= requests) return;
    await after(50);
  }
}

/** Echo begins when the subscribers are being served, and ends before they are no more. */
async function measureMixed({ clients, subscribers }: MixedScenario, subject: Subject): Promise<Figures> {
  const warm = 0.5;
  const fanOut: FanOutScenario = { kind: 'fan-out', group: 'events', title: '', subscribers, channels: 'one', outstanding: 2 };
  const options = { ...fanOutOptions(fanOut, subject), gap: 200, dur: subject.durationSeconds + warm + 1 };
  const served = startLoad('fanout', options);
  await served.begun;
  const { target, durationSeconds } = subject;
  const echo = { ...doors(target), path: target.paths.echo ?? '', conns: clients, warm, dur: durationSeconds };
  const [figures, fanOutResult] = await Promise.all([weighed(subject, 'echo', echo), served.ended]);
  // The CPU time is that of both loads.
  return { ...figures, ...fanOutFigures(fanOutResult), lost: (figures.lost ?? 0) + lostOf(fanOutResult) };
}

/** Memory is read five seconds after the last connection, when what opening them needed has been given back. */
async function measureIdle({ clients }: IdleScenario, { target, pid }: Subject): Promise<Figures> {
  await after(500);
  const before = memoryKb(pid);
  let held = before;
  const options = { ...doors(target), path: (target.paths.idle ?? '').replaceAll('%C', 'room'), conns: clients, maxs: 100 };
  const result = await runLoad('hold', options, {
    ready: async () => {
      await after(5000);
      held = memoryKb(pid);
    },
  });
  const open = result.get('open') ?? 0;
  return { baseKb: before, ...present({ kbPerConnection: ratio(held - before, open), lost: lostOf(result) }) };
}

function fanOutOptions(scenario: FanOutScenario, { target, durationSeconds }: Subject): LoadOptions {
  const { subscribers, channels, outstanding, transport, seconds = 0 } = scenario;
  const { paths, publish } = target;
  const ownChannels = channels === 'one-each';
  return {
    ...doors(target),
    type: transport === undefined ? 'ws' : 'sse',
    path: (subscribePath(paths, scenario) ?? '').replaceAll('%C', ownChannels ? 'room%d' : 'room'),
    channel: 'room',
    channels: ownChannels ? 1 : 0,
    conns: subscribers,
    size: publicationBytes,
    pubport: publish?.port ?? 0,
    pubpath: publish?.path ?? '',
    pubbody: (transport === undefined ? publish?.body : publish?.streamBody) ?? '',
    pubconns: Math.min(outstanding, publisherConnectionsMax),
    window: outstanding,
    pubs: publishesMax,
    dur: Math.max(durationSeconds, seconds),
    maxs: 90,
  };
}

function doors({ clientPort }: Target): LoadOptions {
  return { port: clientPort, conc: openedAtOnce, maxs: 60 };
}

interface Sample {
  readonly cpuSeconds: number;
  readonly machine: MachineTime;
}

/** Runs a load and weighs the gateway between each MEASURE of the load generator and its END. */
async function weighed({ pid }: Subject, mode: LoadMode, options: LoadOptions, steps: LoadSteps = {}): Promise<Figures> {
  const sample = (): Sample => ({ cpuSeconds: cpuSeconds(pid), machine: machineTime() });
  const spans: (readonly [first: Sample, last: Sample])[] = [];
  let first = sample();
  let counters = new Map<string, number>();
  const result = await runLoad(mode, options, {
    ...steps,
    begin: async () => {
      first = sample();
      await backendCounters('/_reset');
    },
    end: async () => {
      spans.push([first, sample()]);
      counters = await backendCounters('/_stats');
    },
  });
  return { ...loadFigures(result), ...backendFigures(result, counters), ...weight(result, spans) };
}

function loadFigures(result: LoadResult): Figures {
  const published = result.has('published') ? fanOutFigures(result) : {};
  return {
    ...present({
      perSecond: result.get('per_s'),
      p50Us: latency(result, 'p50_us'),
      p99Us: latency(result, 'p99_us'),
      worstUs: latency(result, 'max_us'),
      badStatuses: (result.get('pub_errors') ?? 0) + (result.get('bad') ?? 0) + (result.get('early') ?? 0),
      lost: lostOf(result),
      loadgenCores: ratio(result.get('loadgen_cpu_s'), result.get('secs')),
    }),
    ...published,
  };
}

function fanOutFigures(result: LoadResult): Figures {
  const undelivered = (result.get('published') ?? 0) - (result.get('completed') ?? 0);
  return present({ publishesPerSecond: result.get('pubs_per_s'), undelivered });
}

function backendFigures(result: LoadResult, counters: ReadonlyMap<string, number>): Figures {
  return present({
    requestsPerUnit: ratio(counters.get('requests'), result.get('count')),
    messagesPerRequest: ratio(counters.get('messages'), counters.get('ws_requests')),
  });
}

function weight(result: LoadResult, spans: readonly (readonly [first: Sample, last: Sample])[]): Figures {
  const sum = (of: (sample: Sample) => number): number => spans.reduce((all, [first, last]) => all + of(last) - of(first), 0);
  const seconds = sum((sample) => sample.cpuSeconds);
  return present({
    cpuUsPerUnit: ratio(seconds * 1e6, result.get('count')),
    gatewayCores: ratio(seconds, result.get('secs')),
    machineBusy: ratio(
      sum(({ machine }) => machine.busySeconds),
      sum(({ machine }) => machine.allSeconds),
    ),
  });
}

/** Empty when the backend does not answer: it may have no part in the scenario. */
async function backendCounters(path: string): Promise<Map<string, number>> {
  try {
    const response = await fetch(`http://127.0.0.1:${backendPort}${path}`, { signal: AbortSignal.timeout(5000) });
    const value: unknown = await response.json();
    const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    return new Map(members.filter((member): member is [string, number] => typeof member[1] === 'number'));
  } catch {
    return new Map();
  }
}

function lostOf(result: LoadResult): number {
  return (result.get('fails') ?? 0) + (result.get('closed_early') ?? 0);
}

/** The load generator writes -1 for latencies that it has not measured. */
function latency(result: LoadResult, name: string): number | undefined {
  const us = result.get(name);
  return us === undefined || us < 0 ? undefined : us;
}

function ratio(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole === 0 ? undefined : Number((part / whole).toPrecision(5));
}

/** Leaves out what is undefined. */
function present(figures: { readonly [name in keyof Figures]: number | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
