/**
 * A stage for the tests of this folder: a backend, Foregate in front of it and clients, over real sockets. Whatever a test opened
 * is closed after it by `clearStage`.
 */
import type { ClientOptions } from 'ws';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { silentLog, type Log } from '../../gateway/core/log.ts';
import { definePolicy, type Policy } from '../../gateway/core/policy.ts';
import { createForegate, type Foregate } from '../../gateway/foregate.ts';
import { Type } from 'typebox';
import {
  echo,
  reply,
  startBackend,
  type Answer,
  type Backend,
  type BackendReply,
  type BackendRequest,
} from '../support/backend.ts';
import { openClient, type Client } from '../support/client.ts';
import { loadSettings } from '../support/gateway.ts';
import { openRawWebSocket, RawSocket, type HandshakeTerms } from '../support/raw-socket.ts';

export interface StageTerms {
  /** Default: accepts every OPEN and sends everything back. */
  readonly answer?: Answer;
  /** What the route has besides its targets. */
  readonly route?: object;
  /** What the target has besides its URL. */
  readonly target?: object;
  /** Instead of the stage's own backend. */
  readonly targets?: readonly object[];
  /** What stands beside the routes. */
  readonly settings?: object;
  /** A policy of the test's own, after those of the route. */
  readonly policy?: Policy;
  readonly log?: Log;
  /** Instead of a program in one process. */
  readonly create?: typeof createForegate;
}

export interface Stage {
  readonly backend: Backend;
  readonly foregate: Foregate;
  readonly port: number;
  readonly url: string;
  readonly controlUrl: string;
  open(path?: string, options?: ClientOptions & { readonly protocols?: string[] }): Promise<Client>;
  /** A raw socket whose handshake was accepted. */
  openRaw(terms?: HandshakeTerms): Promise<RawSocket>;
  /** A raw socket that has sent nothing. */
  connect(): Promise<RawSocket>;
  /** Publishes to a channel for WebSockets. @throws Error unless it was taken */
  publish(channel: string, format: object, item?: object): Promise<void>;
  /** Publishes a text. */
  say(channel: string, content: string): Promise<void>;
  /** `refresh` for a session; whether it was known. */
  refresh(id: string): Promise<boolean>;
  /** How many sessions have joined the channel. */
  members(channel: string): Promise<number>;
}

const closers: (() => Promise<void> | void)[] = [];

export async function setStage(terms: StageTerms = {}): Promise<Stage> {
  const backend = await startBackend(terms.answer ?? echo);
  onClear(() => backend.stop());
  const foregate = await startWith(terms, terms.targets ?? [{ url: backend.origin, ...terms.target }]);
  const [url = ''] = foregate.addresses.clients;
  const port = Number(new URL(url).port);
  const { control } = foregate.addresses;
  const publish: Stage['publish'] = (channel, format, item = {}) =>
    publishTo(control, { channel, ...item, formats: { 'ws-message': format } });
  return {
    backend,
    foregate,
    port,
    url,
    controlUrl: control,
    open: (path = '/', options = {}) => openOn(`${url.replace(/^http/, 'ws')}${path}`, options),
    openRaw: async (handshake = {}) => keep(await openRawWebSocket(port, handshake)),
    connect: async () => keep(await RawSocket.connect(port)),
    publish,
    say: (channel, content) => publish(channel, { content }),
    refresh: async (id) => (await post(`${control}/refresh/`, { cid: id })).ok,
    members: (channel) => membersOf(control, channel),
  };
}

/** For `afterEach`: in the reverse order of opening, so that backends hear of the end. */
export async function clearStage(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close();
}

/** Has something closed after the test. */
export function onClear(close: () => Promise<void> | void): void {
  closers.push(close);
}

/** Settings with one route, for a first configuration or a reload. */
export async function stageConfig({ route, settings, policy }: StageTerms, targets: readonly object[]) {
  const loaded = await loadSettings({ drain: '200ms', ...settings, routes: [{ id: 'test', targets, ...route }] });
  if (policy === undefined) return loaded;
  const definition = definePolicy({
    name: 'of-the-test',
    summary: 'Of the test.',
    options: Type.Object({}),
    create: () => policy,
  });
  const own = { use: 'of-the-test', definition, options: {}, place: { file: '', line: 0, column: 0, path: '' } };
  return { ...loaded, routes: loaded.routes.map((one) => ({ ...one, policies: [...one.policies, own] })) };
}

async function startWith(terms: StageTerms, targets: readonly object[]): Promise<Foregate> {
  const foregate = await (terms.create ?? createForegate)(await stageConfig(terms, targets), { log: terms.log ?? silentLog });
  await foregate.start();
  onClear(() => foregate.stop());
  return foregate;
}

async function openOn(url: string, options: ClientOptions & { readonly protocols?: string[] }): Promise<Client> {
  const client = await openClient(url, options);
  onClear(() => client.socket.terminate());
  return client;
}

function keep(socket: RawSocket): RawSocket {
  onClear(() => socket.destroy());
  return socket;
}

async function publishTo(controlUrl: string, item: object): Promise<void> {
  const response = await post(`${controlUrl}/publish/`, { items: [item] });
  const body = await response.text();
  if (!response.ok) throw new Error(`The publication was refused: ${response.status} ${body}`);
}

/** How many sessions have joined a channel. */
async function membersOf(controlUrl: string, channel: string): Promise<number> {
  const response = await fetch(`${controlUrl}/connections?limit=1000&channel=${encodeURIComponent(channel)}`);
  const sessions: unknown = await response.json();
  return Array.isArray(sessions) ? sessions.length : 0;
}

async function post(url: string, body: object): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

/** Accepts OPEN; everything after it is answered by `later`. */
export function afterOpen(later: Answer, open: BackendReply = accepted()): Answer {
  return (request) => (isOpening(request) ? open : later(request));
}

export function isOpening(request: BackendRequest): boolean {
  return request.events[0]?.kind === 'open';
}

/** The reply that accepts a connection, with more events behind it. */
export function accepted(headers: Readonly<Record<string, string>> = {}, more: readonly ClientEvent[] = []): BackendReply {
  return reply([{ kind: 'open' }, ...more], headers);
}

/** The same with GRIP turned on. */
export function acceptedWithGrip(
  more: readonly ClientEvent[] = [],
  headers: Readonly<Record<string, string>> = {},
): BackendReply {
  return accepted({ 'Sec-WebSocket-Extensions': 'grip', ...headers }, more);
}

/** A reply that says nothing. */
export const nothing: BackendReply = reply([]);

/** Holds replies back until it is opened. */
export interface Gate {
  readonly passed: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

/** Resolves after so many milliseconds: to see that something does not happen. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks until it is true. @throws Error after `ms` */
export async function eventually(check: () => boolean | Promise<boolean>, ms = 3000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`It did not become true within ${ms} ms: ${check.toString()}`);
    await pause(5);
  }
}

/** Events as text, for comparing: `TEXT hello`, `CLOSE 4000 bye`. */
export function said(events: readonly ClientEvent[]): string[] {
  return events.map((event) => {
    const name = event.kind.toUpperCase();
    if (event.kind === 'close') return `${name} ${event.code ?? '-'} ${event.reason}`.trim();
    return 'data' in event ? `${name} ${event.data.toString()}`.trim() : name;
  });
}
