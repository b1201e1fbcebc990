/**
 * Subscriptions inside a socket from which nothing may be missing: at a gap in the ids the channel's link is asked for what is
 * between, as for holds (GRIP 4.6), and its answer is applied like one to an exchange. A gap that stays ends the session, in so many
 * words: a client that goes on without a word would never know.
 */
import { errors, ForegateError, toForegateError } from '../core/errors.ts';
import type { Batch, Reply, RequestHead } from '../core/exchange.ts';
import type { ChannelName } from '../core/ids.ts';
import type { Membership, Step } from '../core/instruction.ts';
import { deny } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Target } from '../core/route.ts';
import type { ClientRequest, Denial, SessionView } from '../core/session.ts';
import { eventsMediaType } from '../wire/websocket-events.ts';
import { webSocketOverHttp } from '../wire/websocket-over-http.ts';
import { HoldSchedule } from './hold-schedule.ts';
import { LinkRequests, type LinkCaller } from './link-requests.ts';
import type { SessionParts } from './parts.ts';
import { ownOrigins, resolveLink, type Place } from './place.ts';
import { subscribe, type Joining } from './subscribe.ts';

/** What recovery needs of its session. */
export interface RecoveryHost extends Joining {
  readonly view: SessionView;
  readonly request: ClientRequest;
  readonly target: Target;
  readonly head: RequestHead;
  apply(steps: readonly Step[]): MaybePromise<void>;
  /** Undefined when there is room for more towards the client; else resolves when there is. */
  room(): Promise<void> | undefined;
  /** With a close frame even where failures have none: a client that is not told would come back with the same ids for ever. */
  endInWords(denial: Denial): void;
}

/** A channel whose gaps are noticed. */
interface Followed {
  readonly channel: ChannelName;
  /** Undefined: a gap cannot be filled. */
  next: string | undefined;
  readonly schedule: HoldSchedule;
  /** It was subscribed to anew since its link was asked. */
  renewed: boolean;
}

/** An id from which on nothing may be missing, and who says so. */
interface LastId {
  readonly value: string;
  readonly from: 'backend' | 'here' | 'client';
}

/** Status of a link's answer by which the backend says that it does not know what came after the id. */
const gone = 410;
const noEvents: Batch = { events: [], replayedBytes: 0, more: false };
const askFields = ['Accept', eventsMediaType];

export class Recovery {
  readonly #parts: SessionParts;
  readonly #host: RecoveryHost;
  /** Another origin was asked, and may have named the links that follow: they carry nothing of the client. */
  #wasElsewhere = false;
  /** What the client said it has, until the channel is subscribed to. */
  readonly #told: Map<ChannelName, string>;
  readonly #followed = new Map<ChannelName, Followed>();

  constructor(parts: SessionParts, host: RecoveryHost, told: Iterable<readonly [ChannelName, string]>) {
    this.#parts = parts;
    this.#host = host;
    this.#told = new Map(told);
  }

  /** Nothing of the channel may be left out. */
  follows(channel: ChannelName): boolean {
    return this.#currentId(channel) !== undefined;
  }

  /** Where the backend gives no id, that counts which is known, if there is a link too, or else what the client said. */
  subscribe(membership: Membership): MaybePromise<void> {
    const { channel } = membership;
    const id = this.#idFor(membership);
    this.#told.delete(channel);
    const joining = subscribe(this.#host, id === undefined ? membership : { ...membership, previousId: id.value }, this.#parts);
    if (isPromise(joining)) return joining.then(() => this.#joined(membership, id?.from));
    this.#joined(membership, id?.from);
    return undefined;
  }

  leave(channel: ChannelName): void {
    this.#followed.get(channel)?.schedule.cancel();
    this.#followed.delete(channel);
  }

  /** An item of the channel does not follow what the client has. */
  missed(channel: ChannelName): void {
    const followed = this.#followed.get(channel);
    if (followed === undefined) return;
    if (followed.next === undefined) this.#end('recovery-gone', 'Load anew', channel);
    else followed.schedule.askInTime();
  }

  /** Somebody says that something was missed, though no ids tell of it. */
  askAll(): void {
    for (const followed of this.#followed.values()) if (this.follows(followed.channel)) void this.#ask(followed);
  }

  cancel(): void {
    for (const channel of this.#followed.keys()) this.leave(channel);
  }

  #idFor({ channel, previousId, next }: Membership): LastId | undefined {
    if (previousId !== undefined) return { value: previousId, from: 'backend' };
    const known = next === undefined ? undefined : this.#currentId(channel);
    if (known !== undefined) return { value: known, from: 'here' };
    const told = this.#told.get(channel);
    return told === undefined ? undefined : { value: told, from: 'client' };
  }

  #joined({ channel, next }: Membership, from: LastId['from'] | undefined): void {
    if (!this.#host.open) return;
    const known = this.#followed.get(channel);
    if (known === undefined && !this.follows(channel)) return; // It has no ids, or was refused.
    const followed = known ?? this.#follow(channel);
    followed.next = next ?? followed.next;
    if (from !== 'here') followed.renewed = true;
    if (this.#hasMissed(channel, from === 'client')) this.missed(channel);
  }

  #follow(channel: ChannelName): Followed {
    const schedule = new HoldSchedule(this.#parts.clock, () => void this.#ask(followed));
    const followed: Followed = { channel, next: undefined, schedule, renewed: true };
    this.#followed.set(channel, followed);
    return followed;
  }

  /** A backend's id is of just now, so what is not known was not published; a client's may be of long ago. */
  #hasMissed(channel: ChannelName, byClient: boolean): boolean {
    const id = this.#parts.hub.comingId(this.#host, channel);
    const last = this.#parts.lastId(channel);
    return id !== undefined && last !== id && (last !== undefined || byClient);
  }

  async #ask(followed: Followed): Promise<void> {
    if (followed.next === undefined || !followed.schedule.begins()) return;
    try {
      const reply = await this.#fetch(followed, followed.next);
      if (this.#isOver(followed)) return;
      if (reply === undefined) this.#end('recovery-failed', 'Try again', followed.channel);
      else if (reply.status === gone) this.#end('recovery-gone', 'Load anew', followed.channel);
      else await this.#take(followed, reply);
    } catch (thrown) {
      this.#fail(followed.channel, toForegateError(thrown));
    }
  }

  async #fetch(followed: Followed, uri: string): Promise<Reply | undefined> {
    const { request, head } = this.#host;
    const own: Place = { origin: undefined, path: head.path };
    const place = resolveLink(uri, own, ownOrigins(request, head.headers));
    if (place === undefined) return undefined;
    await this.#host.room();
    this.#wasElsewhere ||= place.origin !== undefined;
    return new LinkRequests(this.#parts, this.#callerFor(followed)).follow(place, !this.#wasElsewhere);
  }

  async #take(followed: Followed, reply: Reply): Promise<void> {
    const { channel, schedule } = followed;
    // Where the backend has subscribed the client anew meanwhile, the answer is to a question of before.
    if (!followed.renewed) await this.#apply(followed, reply);
    await this.#host.room(); // Or a client that has just got a long answer would count as a slow one.
    if (this.#isOver(followed)) return;
    schedule.ended();
    this.#parts.hub.releaseChannel(this.#host, channel);
    if (this.#hasMissed(channel, false)) this.missed(channel);
  }

  async #apply(followed: Followed, reply: Reply): Promise<void> {
    const { steps } = webSocketOverHttp.decode(reply, noEvents, this.#host.view);
    await this.#host.apply(steps);
    if (reply.body.length === 0 || followed.renewed || this.#isOver(followed)) return;
    throw new ForegateError(
      'bad-reply',
      'The answer of a link has messages, but does not subscribe with the id of the last of them.',
    );
  }

  /** Nobody waits for it any more. */
  #isOver({ channel, schedule }: Followed): boolean {
    return !this.#host.open || this.#followed.get(channel)?.schedule !== schedule;
  }

  #callerFor(followed: Followed): LinkCaller {
    const { hub, log } = this.#parts;
    const host = this.#host;
    const { channel } = followed;
    const name = this.#nameOf(channel);
    const isOver = (): boolean => this.#isOver(followed);
    return {
      linkFields: askFields,
      route: host.route,
      target: host.target,
      view: host.view,
      headers: host.head.headers,
      get live() {
        return !isOver();
      },
      tally: undefined, // A socket's line counts requests with events.
      lastIds: () => {
        followed.renewed = false; // What is subscribed to from now on counts instead of the answer.
        const id = this.#currentId(channel);
        return id === undefined ? [] : [[name, id]];
      },
      takes: (reply) => reply.status === gone || webSocketOverHttp.speaks(reply),
      hold: () => hub.holdChannel(host, channel),
      failed: (why) => {
        log.info('status' in why ? 'recovery.link-refused' : 'recovery.link-failed', { session: host.id, channel, ...why });
        hub.releaseChannel(host, channel);
      },
    };
  }

  #currentId(channel: ChannelName): string | undefined {
    return this.#parts.hub.currentId(this.#host, channel);
  }

  /** The advice comes first: a close frame has room for 123 bytes. */
  #end(code: 'recovery-failed' | 'recovery-gone', advice: string, channel: ChannelName): void {
    const what = `what came after id '${this.#currentId(channel) ?? ''}' of channel '${this.#nameOf(channel)}'`;
    this.#host.endInWords(deny(code, `${advice}: ${what} is not ${code === 'recovery-gone' ? 'known' : 'to be had now'}.`));
  }

  #fail(channel: ChannelName, error: ForegateError): void {
    const { id, route } = this.#host;
    this.#parts.log.warn('recovery.failed', { session: id, route: route.id, channel, code: error.code, error });
    this.#host.end(deny(error.code, route.debug ? error.message : errors[error.code].text));
  }

  /** As the backend and the client know it. */
  #nameOf(channel: ChannelName): string {
    return channel.slice(this.#host.route.channelPrefix.length);
  }
}
