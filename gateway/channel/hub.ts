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
import { Channel, noFilters, type Member } from './channel.ts';
import { FanOut } from './fan-out.ts';

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
  #subscriptionCount = 0;

  constructor({ want, log, metrics }: HubParts) {
    this.#want = want;
    this.#log = log;
    this.#fanOut = new FanOut({ log, metrics });
  }

  /** Subscriptions of all sessions. */
  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  /**
   * Makes the subscriber a member; resolved when it misses nothing from now on. Joining again replaces the filters. If the bus
   * fails, the promise rejects with its error, and the membership stands.
   */
  join(subscriber: Subscriber, name: ChannelName, filters: readonly string[]): MaybePromise<void> {
    const own = filters.length === 0 ? noFilters : filters;
    const member = this.#find(subscriber, name);
    if (member !== undefined) {
      member.filters = own;
      return member.group.channel.ready;
    }
    const known = this.#channels.get(name);
    const channel = known ?? new Channel(name);
    this.#link(channel.add(subscriber, own));
    if (known === undefined) this.#open(channel);
    return channel.ready;
  }

  /** Does nothing for a channel that was not joined. */
  leave(subscriber: Subscriber, name: ChannelName): void {
    const member = this.#find(subscriber, name);
    if (member === undefined) return;
    this.#unlink(member);
    this.#remove(member);
  }

  /** Leaves all channels. */
  drop(subscriber: Subscriber): void {
    let member = this.#memberships.get(subscriber);
    this.#memberships.delete(subscriber);
    for (; member !== undefined; member = member.next) this.#remove(member);
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

  /** All channels with members in this process. */
  *channels(): Generator<ChannelInfo> {
    for (const { name, size } of this.#channels.values()) yield { channel: name, subscribers: size };
  }

  /** Called by the bus. Without members the publication is gone. */
  receive(publication: Publication): void {
    const channel = this.#channels.get(publication.channel);
    if (channel !== undefined) this.#fanOut.add(channel, publication);
  }

  #find(subscriber: Subscriber, name: ChannelName): Member | undefined {
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

  #remove(member: Member): void {
    const { channel } = member.group;
    channel.remove(member);
    this.#subscriptionCount -= 1;
    if (channel.size === 0) this.#close(channel);
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
  #close(channel: Channel): void {
    this.#channels.delete(channel.name);
    const told = this.#want(channel.name, false);
    if (isPromise(told)) told.catch((error: unknown) => this.#log.warn('bus.want-failed', { channel: channel.name, error }));
  }
}
