/** A host that behaves: it remembers what was published and knows the sessions it was given. And the parts around it. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createControl, type ControlParts } from '../../gateway/control/app.ts';
import type {
  ChannelFilter,
  ChannelInfo,
  ControlHost,
  Renewal,
  SessionFilter,
  SessionInfo,
  StatisticsReport,
} from '../../gateway/core/control-host.ts';
import { listChannels, listSessions } from '../../gateway/control/lists.ts';
import { ForegateError } from '../../gateway/core/errors.ts';
import { channelName, routeId, sessionId, type ChannelName, type SessionId } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { deny, noHooks } from '../../gateway/core/policy.ts';
import type { MaybePromise } from '../../gateway/core/promise.ts';
import type { Revocation } from '../../gateway/core/revocation.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { Statistics } from '../../gateway/session/statistics.ts';

export class FakeHost implements ControlHost {
  readonly published: Publication[] = [];
  readonly refreshed: SessionId[] = [];
  readonly revoked: Revocation[] = [];
  recovered = 0;
  readonly #sessions = new Map<SessionId, SessionInfo>();
  readonly #statistics = new Statistics({
    now: () => 0,
    sessions: () => [],
    channels: () => 0,
    subscriptions: () => 0,
    targets: () => [],
  });
  draining = false;
  sharedStore: 'up' | 'away' | undefined;
  sharedBus: 'up' | 'away' | undefined;
  /** What a hand-over to the bus does: nothing, unless a test wants it slow or broken. */
  handOver: () => MaybePromise<void> = () => {};

  add(id: string, channels: readonly string[], subject?: string): SessionInfo {
    const info = {
      id: sessionId(id),
      route: routeId('chat'),
      transport: 'websocket',
      address: '203.0.113.7',
      path: '/chat',
      ...(subject !== undefined && { subject }),
      channels: channels.map(channelName),
      openedAt: '2026-11-24T09:30:00.000Z',
    } as const;
    this.#sessions.set(info.id, info);
    return info;
  }

  publish(items: readonly Publication[]): MaybePromise<void> {
    this.published.push(...items);
    return this.handOver();
  }

  refresh(id: SessionId): boolean {
    if (!this.#sessions.has(id)) return false;
    this.refreshed.push(id);
    return true;
  }

  refreshChannel(channel: ChannelName): void {
    for (const { id, channels } of this.#sessions.values()) if (channels.includes(channel)) this.refresh(id);
  }

  recover(): void {
    this.recovered += 1;
  }

  /** As one that can take everything but one value. */
  revoke(revocation: Revocation): number {
    if (revocation.value === 'one too many') throw new ForegateError('overloaded', 'Too many revocations.');
    this.revoked.push(revocation);
    return [...this.#sessions.values()].filter(({ subject }) => subject === revocation.value).length;
  }

  /** As one whose sessions have the token `first`, but for those of nobody. */
  async renew(id: SessionId, token: string): Promise<Renewal> {
    const session = this.session(id);
    if (session === undefined) return 'unknown';
    if (session.subject === undefined) return 'not-renewable';
    if (token === 'broken') return deny('policy-failed', 'The policy jwt could not decide.');
    return token === 'second' ? 'renewed' : deny('unauthorized', 'The token is malformed.');
  }

  openOf(ids: readonly SessionId[]): SessionId[] {
    return ids.filter((id) => this.#sessions.has(id));
  }

  sessions(filter: SessionFilter): SessionInfo[] {
    return listSessions(this.#sessions.values(), filter);
  }

  session(id: SessionId): SessionInfo | undefined {
    return this.#sessions.get(id);
  }

  channels(filter: ChannelFilter): ChannelInfo[] {
    return listChannels(this.#allChannels(), filter);
  }

  *#allChannels(): Generator<ChannelInfo> {
    const names = new Set([...this.#sessions.values()].flatMap((session) => session.channels));
    for (const channel of names) {
      yield { channel, subscribers: [...this.#sessions.values()].filter((session) => session.channels.includes(channel)).length };
    }
  }

  /** Of one route that has seen nobody. */
  statistics(): StatisticsReport {
    this.#statistics.keep([routeId('chat')]);
    this.#statistics.of(routeId('chat'));
    return this.#statistics.report();
  }

  ready(): boolean {
    return !this.draining;
  }

  store(): 'up' | 'away' | undefined {
    return this.sharedStore;
  }

  bus(): 'up' | 'away' | undefined {
    return this.sharedBus;
  }

  /** The names of the channels that were published to, in order. */
  get publishedTo(): string[] {
    return this.published.map((publication) => publication.channel);
  }
}

export function controlParts(host: ControlHost, more: Partial<ControlParts> = {}): ControlParts {
  return {
    host,
    hooks: noHooks,
    auth: {},
    limits: { publishBytes: limits.publishBytes, publishItems: limits.publishItems },
    metricsText: async () => ({ type: 'text/plain; version=0.0.4; charset=utf-8', text: '# nothing\n' }),
    log: silentLog,
    ...more,
  };
}

/** Listens on a port of loopback, with the plain server of Node in front of the listener. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export function plainServer(parts: ControlParts): Server {
  return createServer(createControl(parts));
}

/** A publish body with one text message for each channel. */
export function publishBody(...channels: readonly string[]): string {
  return JSON.stringify({ items: channels.map((channel) => ({ channel, formats: { 'ws-message': { content: 'x' } } })) });
}

/** A promise that the test resolves when it likes. */
export function gate(): { readonly passed: Promise<undefined>; readonly open: () => void } {
  let open = (): void => {};
  const passed = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined);
  });
  return { passed, open };
}
