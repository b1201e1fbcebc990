/** What is measured, as data. How each kind is measured stands in measure.ts; every message is 20 bytes, every publication 100. */

/** The table groups of the report. */
export type Group = 'events' | 'fan-out' | 'connections' | 'http';

interface Described {
  readonly title: string;
  readonly group: Group;
}

/** Clients that send a message, or a burst of them, and wait for its echo before they send the next. */
export interface EchoScenario extends Described {
  readonly kind: 'echo';
  readonly clients: number;
  readonly burst?: number;
  readonly messageBytes?: number;
}

/** Subscribers of one channel, or of one channel each, and `outstanding` publishes under way. */
export interface FanOutScenario extends Described {
  readonly kind: 'fan-out';
  /** WebSockets, unless they are event streams; `linked`: streams that each fetch their next link every ten seconds. */
  readonly transport?: 'sse' | 'linked';
  /** Measured at least so long. */
  readonly seconds?: number;
  readonly subscribers: number;
  readonly channels: 'one' | 'one-each';
  readonly outstanding: number;
}

/** Echo, while many subscribers get five publications per second. */
export interface MixedScenario extends Described {
  readonly kind: 'mixed';
  readonly clients: number;
  readonly subscribers: number;
}

/** Memory per WebSocket that nobody uses. */
export interface IdleScenario extends Described {
  readonly kind: 'idle';
  readonly clients: number;
}

/** How fast WebSockets open: each costs the backend an OPEN request. */
export interface ConnectScenario extends Described {
  readonly kind: 'connect';
  readonly clients: number;
  readonly atOnce: number;
}

/** Plain requests that are passed through. */
export interface PlainScenario extends Described {
  readonly kind: 'plain';
  readonly clients: number;
}

/** Long-polls that arrive at 1,600 per second, and are all answered by one publish; several times. */
export interface PollScenario extends Described {
  readonly kind: 'poll';
  readonly clients: number;
  readonly times: number;
}

export type Scenario =
  EchoScenario | FanOutScenario | MixedScenario | IdleScenario | ConnectScenario | PlainScenario | PollScenario;

const fanOut = { kind: 'fan-out', group: 'fan-out' } as const;

export const scenarios = {
  s1a: { kind: 'echo', group: 'events', title: 'echo, 1 client', clients: 1 },
  s1b: { kind: 'echo', group: 'events', title: 'echo, 64 clients', clients: 64 },
  s1c: { kind: 'echo', group: 'events', title: 'echo, 200 clients at once', clients: 200 },
  s1d: { kind: 'echo', group: 'events', title: 'echo, 50 clients in bursts of 100', clients: 50, burst: 100 },
  s1e: { kind: 'echo', group: 'events', title: 'echo, 64 clients, 1 KB messages', clients: 64, messageBytes: 1000 },
  s8: { kind: 'mixed', group: 'events', title: 'echo, 8 clients beside 5,000 subscribers', clients: 8, subscribers: 5000 },
  s2a: { ...fanOut, title: '1,000 subscribers', subscribers: 1000, channels: 'one', outstanding: 1 },
  s2b: { ...fanOut, title: '10,000 subscribers', subscribers: 10_000, channels: 'one', outstanding: 1 },
  s2c: { ...fanOut, title: '1,000 subscribers, 8 publishes at a time', subscribers: 1000, channels: 'one', outstanding: 8 },
  s2d: { ...fanOut, transport: 'sse', title: '1,000 event streams', subscribers: 1000, channels: 'one', outstanding: 1 },
  s2e: { ...fanOut, transport: 'sse', title: '10,000 event streams', subscribers: 10_000, channels: 'one', outstanding: 1 },
  links: {
    ...fanOut,
    transport: 'linked',
    title: '5,000 event streams with links of 10 s, 1 publish at a time',
    subscribers: 5000,
    channels: 'one',
    outstanding: 1,
    seconds: 25,
  },
  s3: { ...fanOut, title: '10,000 channels, 32 publishes at a time', subscribers: 10_000, channels: 'one-each', outstanding: 32 },
  s3b: { ...fanOut, title: '10,000 channels, 1 publish at a time', subscribers: 10_000, channels: 'one-each', outstanding: 1 },
  s4: { kind: 'idle', group: 'connections', title: 'memory of 10,000 idle WebSockets', clients: 10_000 },
  s5: { kind: 'connect', group: 'connections', title: '5,000 connects, 32 at a time', clients: 5000, atOnce: 32 },
  s6: { kind: 'plain', group: 'http', title: 'plain HTTP, 64 connections', clients: 64 },
  s7: { kind: 'poll', group: 'http', title: '5,000 long-polls, answered by one publish', clients: 5000, times: 3 },
  s6b: { kind: 'plain', group: 'http', title: 'plain HTTP, 1 connection', clients: 1 },
} as const satisfies Readonly<Record<string, Scenario>>;

export type ScenarioId = keyof typeof scenarios;

export const scenarioIds = Object.keys(scenarios) as ScenarioId[]; // Object.keys forgets which keys they are.

/** Client connections of a scenario at once. */
export function connectionsOf(scenario: Scenario): number {
  const clients = 'clients' in scenario ? scenario.clients : 0;
  const subscribers = 'subscribers' in scenario ? scenario.subscribers : 0;
  return clients + subscribers;
}
