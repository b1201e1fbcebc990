/** Plays recorded sessions to a policy: what clients and publishers did and when, by a clock that is turned to those times. */
import { toMs } from '../core/duration.ts';
import type { Message } from '../core/event.ts';
import type { HeaderDraft, HeaderList } from '../core/headers.ts';
import { channelName } from '../core/ids.ts';
import { silentLog } from '../core/log.ts';
import { noMetrics } from '../core/metrics.ts';
import {
  compileHooks,
  runHooks,
  type Policy,
  type PolicyContext,
  type PolicyDefinition,
  type RouteHooks,
} from '../core/policy.ts';
import type { Publication } from '../core/publication.ts';
import { noMetadata, type Identity } from '../core/session.ts';
import { clockStore } from './clock-store.ts';
import { ManualClock } from './manual-clock.ts';
import { createPolicy, testSession, textMessage, type TestSession, type TestSessionOptions } from './policy-kit.ts';

interface Recorded {
  /** Since the start: milliseconds, or a text such as `90s`. Never earlier than the event before. */
  readonly at: number | string;
  /** Whose event it is, where several clients are on the record. Default: `client`. */
  readonly session?: string;
}

export type RecordedEvent = Recorded &
  (
    | {
        readonly kind: 'connect';
        /** The client's request, as for `testSession`. */
        readonly request?: TestSessionOptions;
        /** What a policy before this one would have found out. */
        readonly identity?: Identity;
      }
    | { readonly kind: 'message'; readonly message: string | Message }
    | { readonly kind: 'subscribe'; readonly channel: string }
    /** The plain request of a `connect` is held from now on. */
    | { readonly kind: 'held' }
    | {
        readonly kind: 'publish';
        readonly channel: string;
        /** Text for WebSockets. */
        readonly content: string;
        readonly publisher?: { readonly identity?: Identity; readonly address?: string; readonly headers?: HeaderList };
      }
    | { readonly kind: 'disconnect' }
  );

export interface PlayTerms extends Partial<Omit<PolicyContext, 'clock'>> {
  /** When it begins, as `Date` takes it. Default: a fixed time of the year 2023. */
  readonly start?: number | string;
  /** How long the clock goes on, if that is longer than the last event. */
  readonly until?: number | string;
}

/** What a moment can give; `over`: the session had ended before the event, so the policy was not asked. */
export type PlayedVerdict = Awaited<ReturnType<NonNullable<Policy['connect']>>> | { readonly kind: 'over' };

export interface PlayedSession extends TestSession {
  /** Milliseconds since the start; undefined where it was open until the record ended. */
  readonly endedAt: number | undefined;
  /** Header fields that the policy has for the client. */
  readonly answer: HeaderList;
}

export interface Played {
  /** One for each event, in their order. */
  readonly verdicts: readonly PlayedVerdict[];
  readonly sessions: Readonly<Record<string, PlayedSession>>;
  /** Of the policy, after all sessions have ended and it was disposed of: 0 if it tidies up. */
  readonly timersLeft: number;
}

/**
 * Makes the policy and plays the events to it, as the program would: what the policy throws denies, a denied handshake or message
 * ends the session, and each session is disconnected once, in the end those that are still open. A `delay` is told, not waited for.
 * A promise of the policy is waited for before the clock goes on, so it must not itself wait for the clock.
 * @throws Error for a record that is none, for options that are not valid, and whatever `create` throws
 */
export async function playSession(
  definition: PolicyDefinition,
  options: unknown,
  events: readonly RecordedEvent[],
  { start, until = 0, ...given }: PlayTerms = {},
): Promise<Played> {
  const clock = start === undefined ? new ManualClock() : new ManualClock(new Date(start).getTime());
  const context = { log: silentLog, metrics: noMetrics, store: clockStore(clock), ...given, clock };
  const policy = await createPolicy(definition, options, context);
  const player = new Player(compileHooks([[definition.name, policy]], context), clock);
  const verdicts: PlayedVerdict[] = [];
  for (const event of events) verdicts.push(await player.play(event));
  await player.finish(sinceStart(until));
  await policy.dispose?.();
  return { verdicts, sessions: Object.fromEntries(player.sessions), timersLeft: clock.pending };
}

class Player {
  readonly sessions = new Map<string, Playing>();
  readonly #hooks: RouteHooks;
  readonly #clock: ManualClock;
  readonly #startedAt: number;

  constructor(hooks: RouteHooks, clock: ManualClock) {
    this.#hooks = hooks;
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  async play(event: RecordedEvent): Promise<PlayedVerdict> {
    const { at, session: name = 'client' } = event;
    await this.#turnTo(sinceStart(at));
    if (event.kind === 'publish') return runHooks(this.#hooks.publish, publicationOf(event), publisherOf(event));
    if (event.kind === 'connect') return this.#connect(name, event);
    const session = this.sessions.get(name);
    if (session === undefined) throw new Error(`The record has no "connect" of ${name} before its "${event.kind}".`);
    if (session.endedAt !== undefined) return { kind: 'over' };
    if (event.kind === 'message') return this.#message(session, event.message);
    if (event.kind === 'subscribe') return runHooks(this.#hooks.subscribe, session, channelName(event.channel));
    if (event.kind === 'held') for (const notice of this.#hooks.held) notice(session);
    else this.#disconnect(session);
    return undefined;
  }

  async finish(untilMs: number): Promise<void> {
    await this.#turnTo(Math.max(untilMs, this.#now()));
    for (const session of this.sessions.values()) if (session.endedAt === undefined) this.#leave(session);
  }

  async #connect(name: string, { request, identity }: Extract<RecordedEvent, { kind: 'connect' }>): Promise<PlayedVerdict> {
    if (this.sessions.get(name)?.endedAt === undefined && this.sessions.has(name))
      throw new Error(`The record has a second "connect" of ${name}, who is still there.`);
    const session = this.#open(request, identity);
    this.sessions.set(name, session);
    const verdict = await runHooks(this.#hooks.connect, session, session.answer);
    if (verdict !== undefined && verdict.kind !== 'delay') this.#disconnect(session);
    return verdict;
  }

  #open(request: TestSessionOptions | undefined, identity: Identity | undefined): Playing {
    const answer: HeaderDraft = [];
    const session: Playing = Object.assign(testSession({ openedAt: this.#clock.now(), ...request }), {
      answer,
      endedAt: undefined,
    });
    session.identity = identity;
    const { end } = session;
    session.end = (denial) => {
      end(denial);
      this.#disconnect(session);
    };
    return session;
  }

  async #message(session: Playing, message: string | Message): Promise<PlayedVerdict> {
    const verdict = await runHooks(this.#hooks.message, session, typeof message === 'string' ? textMessage(message) : message);
    if (verdict?.kind === 'deny' && (verdict.action ?? 'close') === 'close') session.end(verdict);
    return verdict;
  }

  #disconnect(session: Playing): void {
    if (session.endedAt !== undefined) return;
    session.endedAt = this.#now();
    this.#leave(session);
  }

  #leave(session: Playing): void {
    for (const hook of this.#hooks.disconnect) hook(session);
  }

  async #turnTo(ms: number): Promise<void> {
    if (ms < this.#now()) throw new Error(`The record goes back in time, from ${this.#now()} ms to ${ms} ms.`);
    this.#clock.advance(ms - this.#now());
    // What timers have begun with promises gets its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #now(): number {
    return this.#clock.now() - this.#startedAt;
  }
}

/** A session while it is played. */
interface Playing extends TestSession {
  answer: HeaderDraft;
  endedAt: number | undefined;
}

function sinceStart(at: number | string): number {
  return typeof at === 'number' ? at : toMs(at);
}

type Publishing = Extract<RecordedEvent, { kind: 'publish' }>;

function publicationOf({ channel, content }: Publishing): Publication {
  const message = { action: 'send', type: 'text', content: Buffer.from(content) } as const;
  return { channel: channelName(channel), meta: noMetadata, formats: { message } };
}

function publisherOf({ publisher: { identity, address = '192.0.2.9', headers = [] } = {} }: Publishing) {
  return { identity, address, headers };
}
