/**
 * Which sessions of this process have joined which channels. Takes publications from the bus, gives them to the fan-out, and tells
 * the bus of first and last interest in a channel.
 */
import type { Bus } from '../core/bus.ts';
import type { ChannelInfo } from '../core/control-host.ts';
import type { ChannelName } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Publication, Subscriber } from '../core/publication.ts';
import { Channel, plainTerms, type Member } from './channel.ts';
import { FanOut, fits } from './fan-out.ts';
import { namesAskingFilter } from './filters.ts';
import { Line } from './line.ts';

export interface HubParts {
  /** The bus's own `want`; a function, since a bus is made with the hub as its receiver. */
  readonly want: Bus['want'];
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Hub {
  readonly #want: Bus['want'];
  readonly #log: Log;
  readonly #fanOut: FanOut;
  readonly #channels = new Map<ChannelName, Channel>();
  /** The first membership of each subscriber; it leads to the others. */
  readonly #memberships = new Map<Subscriber, Member>();
  /** Of subscribers that are held, or whose filters ask the backend. */
  readonly #lines = new Map<Subscriber, Line>();
  #subscriptionCount = 0;

  constructor({ want, log, metrics }: HubParts) {
    this.#want = want;
    this.#log = log;
    const currentIdOf = (subscriber: Subscriber, name: string): string | undefined => this.#find(subscriber, name)?.currentId;
    this.#fanOut = new FanOut({ log, metrics, currentIdOf });
  }

  /** Channels with members in this process. */
  get channelCount(): number {
    return this.#channels.size;
  }

  /** Subscriptions of all sessions. */
  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  /**
   * Makes the subscriber a member; resolved when it misses nothing from now on. Joining again replaces the filters and the current
   * id, and takes the shape that the subscriber has by then. If the bus fails, the promise rejects with its error, and the membership stands.
   * @param previousId the id of the last item the subscriber has: from there on `missed` tells it of gaps
   */
  join(subscriber: Subscriber, name: ChannelName, filters: readonly string[], previousId?: string): MaybePromise<void> {
    const line = this.#lineFor(subscriber, name, filters);
    if (previousId !== undefined) line?.renewed(name);
    const member = this.#find(subscriber, name);
    if (member?.group.shape === subscriber.shape) {
      member.change({ filters, currentId: previousId });
      return member.group.channel.ready;
    }
    const known = this.#channels.get(name);
    const channel = known ?? new Channel(name);
    if (member !== undefined) this.#detach(member);
    this.#link(channel.add(subscriber, { filters, currentId: previousId, line }));
    if (known === undefined) this.#open(channel);
    return channel.ready;
  }

  /** Does nothing for a channel that was not joined. */
  leave(subscriber: Subscriber, name: ChannelName): void {
    const member = this.#find(subscriber, name);
    if (member === undefined) return;
    this.#detach(member);
    const line = this.#lines.get(subscriber);
    if (line !== undefined) {
      line.left(name);
      this.#settle(subscriber, line);
    }
    this.#closeIfEmpty(member.group.channel);
  }

  /** Leaves all channels. */
  drop(subscriber: Subscriber): void {
    let member = this.#memberships.get(subscriber);
    this.#memberships.delete(subscriber);
    this.#lines.get(subscriber)?.close();
    this.#lines.delete(subscriber);
    for (; member !== undefined; member = member.next) {
      this.#takeOut(member);
      this.#closeIfEmpty(member.group.channel);
    }
  }

  /** True while the channel has subscribers in this process. */
  has(name: ChannelName): boolean {
    return this.#channels.has(name);
  }

  joined(subscriber: Subscriber, name: ChannelName): boolean {
    return this.#find(subscriber, name) !== undefined;
  }

  /** The channels a subscriber has joined, the latest first. */
  channelsOf(subscriber: Subscriber): ChannelName[] {
    const names: ChannelName[] = [];
    for (let member = this.#memberships.get(subscriber); member !== undefined; member = member.next) names.push(member.channel);
    return names;
  }

  /** The channels in which gaps are looked for, each with the id of the last item the subscriber has. */
  *currentIds(subscriber: Subscriber): Generator<readonly [channel: ChannelName, id: string]> {
    for (const { channel, currentId } of this.#membersOf(subscriber)) if (currentId !== undefined) yield [channel, currentId];
  }

  /** The id of the last item the subscriber has of a channel; undefined where gaps are not looked for. */
  currentId(subscriber: Subscriber, name: ChannelName): string | undefined {
    return this.#find(subscriber, name)?.currentId;
  }

  /** The id that the subscriber will have of a channel when what waits in its line has come. */
  comingId(subscriber: Subscriber, name: ChannelName): string | undefined {
    const { currentId, line } = this.#find(subscriber, name)?.terms ?? plainTerms;
    return line === undefined ? currentId : line.idBehind(name, currentId);
  }

  /**
   * Lets publications wait for the subscriber, at most {@link limits.heldItems}, whatever it has joined or joins: a body that
   * may contain them is on its way to it.
   */
  hold(subscriber: Subscriber): void {
    const line = this.#lineOf(subscriber);
    line.hold();
    this.#settle(subscriber, line);
  }

  /**
   * Delivers what has waited, in its order. What does not follow the current ids is dropped: the body contained it. What is of
   * a channel that the subscriber has left is dropped too.
   */
  release(subscriber: Subscriber): void {
    const line = this.#lines.get(subscriber);
    if (line === undefined) return;
    line.release();
    this.#settle(subscriber, line);
  }

  /** The same as {@link hold} for one channel alone, at most {@link limits.heldItems} of its own. */
  holdChannel(subscriber: Subscriber, name: ChannelName): void {
    if (!this.joined(subscriber, name)) return;
    const line = this.#lineOf(subscriber);
    line.holdChannel(name);
    this.#settle(subscriber, line);
  }

  /** The same as {@link release} for a channel that was held alone. */
  releaseChannel(subscriber: Subscriber, name: ChannelName): void {
    const line = this.#lines.get(subscriber);
    if (line === undefined) return;
    line.releaseChannel(name);
    this.#settle(subscriber, line);
  }

  /** All channels with members in this process. */
  *channels(): Generator<ChannelInfo> {
    for (const channel of this.#channels.values()) yield infoOf(channel);
  }

  /** Those of the channels that have members in this process. */
  infosOf(names: readonly ChannelName[]): ChannelInfo[] {
    return names.flatMap((name) => {
      const channel = this.#channels.get(name);
      return channel === undefined ? [] : [infoOf(channel)];
    });
  }

  /** A subscriber read too slowly for items of the channel. */
  countDropped(name: ChannelName, items: number): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) channel.dropped += items;
  }

  /** Called by the bus. Without members the publication is gone. */
  receive(publication: Publication): void {
    const channel = this.#channels.get(publication.channel);
    if (channel !== undefined) this.#fanOut.add(channel, publication);
  }

  /** The line of a subscriber that joins the channel with these filters, if its items have to go by one. */
  #lineFor(subscriber: Subscriber, name: ChannelName, filters: readonly string[]): Line | undefined {
    if (filters.length > 0 && subscriber.asksFilters && namesAskingFilter(filters)) {
      const own = this.#lineOf(subscriber);
      own.asks = true;
      this.#settle(subscriber, own);
    }
    const line = this.#lines.get(subscriber);
    return line?.serves(name) === true ? line : undefined;
  }

  #lineOf(subscriber: Subscriber): Line {
    const known = this.#lines.get(subscriber);
    if (known !== undefined) return known;
    const line = this.#makeLine(subscriber);
    this.#lines.set(subscriber, line);
    return line;
  }

  #makeLine(subscriber: Subscriber): Line {
    const fanOut = this.#fanOut;
    const memberOf = ({ channel }: Publication): Member | undefined => this.#find(subscriber, channel);
    return new Line({
      ask(publication) {
        const member = memberOf(publication);
        return member && fanOut.ask(member, publication);
      },
      fits(publication, filtered) {
        const member = memberOf(publication);
        return member === undefined || fits(member, filtered);
      },
      deliver(publication, old, filtered) {
        const member = memberOf(publication);
        if (member !== undefined) fanOut.deliver(member, publication, old, filtered);
      },
    });
  }

  /** Lets the memberships that the line serves go by it, and no others. */
  #settle(subscriber: Subscriber, line: Line): void {
    // Whoever was given something may have left at it, and have come back.
    if (this.#lines.get(subscriber) !== line) return;
    if (line.idle) this.#lines.delete(subscriber);
    for (const member of this.#membersOf(subscriber)) {
      const own = line.serves(member.channel) ? line : undefined;
      if (member.terms.line !== own) member.change({ line: own });
    }
  }

  *#membersOf(subscriber: Subscriber): Generator<Member> {
    for (let member = this.#memberships.get(subscriber); member !== undefined; member = member.next) yield member;
  }

  /** Any text may be asked for: names in the settings of backends are not checked. */
  #find(subscriber: Subscriber, name: string): Member | undefined {
    let member = this.#memberships.get(subscriber);
    while (member !== undefined && member.channel !== name) member = member.next;
    return member;
  }

  #link(member: Member): void {
    member.next = this.#memberships.get(member.subscriber);
    this.#memberships.set(member.subscriber, member);
    this.#subscriptionCount += 1;
  }

  #unlink(member: Member): void {
    let before = this.#memberships.get(member.subscriber);
    if (before === member) {
      if (member.next === undefined) this.#memberships.delete(member.subscriber);
      else this.#memberships.set(member.subscriber, member.next);
      return;
    }
    while (before !== undefined && before.next !== member) before = before.next;
    if (before !== undefined) before.next = member.next;
  }

  /** The channel stays open, even if it is empty now. */
  #detach(member: Member): void {
    this.#unlink(member);
    this.#takeOut(member);
  }

  #takeOut(member: Member): void {
    member.group.channel.remove(member);
    this.#subscriptionCount -= 1;
  }

  #open(channel: Channel): void {
    this.#channels.set(channel.name, channel);
    const wanted = this.#want(channel.name, true);
    if (!isPromise(wanted)) return;
    channel.ready = wanted.finally(() => {
      channel.ready = undefined;
    });
  }

  /** What still waits for the channel was for those who have left: whoever comes now gets a new one. */
  #closeIfEmpty(channel: Channel): void {
    if (channel.size > 0) return;
    this.#channels.delete(channel.name);
    const told = this.#want(channel.name, false);
    if (isPromise(told)) told.catch((error: unknown) => this.#log.warn('bus.want-failed', { channel: channel.name, error }));
  }
}

function infoOf({ name, size, dropped }: Channel): ChannelInfo {
  return { channel: name, subscribers: size, ...(dropped > 0 && { dropped }) };
}
