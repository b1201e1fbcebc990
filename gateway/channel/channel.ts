/**
 * One channel and its members, in groups that share a way of writing. While a round of deliveries runs nobody changes place: who
 * leaves leaves a hole, who comes stands behind the round's end; the holes are closed after it. (Moving members into free places
 * during a round would lose or double deliveries.)
 */
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Publication, Shape, Subscriber, Subscription } from '../core/publication.ts';
import { noFilters } from './filters.ts';
import type { Line } from './line.ts';
import type { Part } from './part.ts';

/** What sets a member apart from those who simply get everything. */
export interface Terms {
  readonly filters: readonly string[];
  /** The id of the last item the subscriber has; undefined: gaps are not looked for. */
  readonly currentId: string | undefined;
  /** Where items wait while the subscriber is held or its filters ask: one line of the subscriber, kept by the hub. */
  readonly line: Line | undefined;
}

/** The terms of most members: told from others by identity, and no memory of their own. */
export const plainTerms: Terms = { filters: noFilters, currentId: undefined, line: undefined };

/** One subscriber's place. There are tens of thousands of them, so it is small: 64 bytes, no collections. */
export class Member implements Subscription {
  readonly group: Group;
  readonly subscriber: Subscriber;
  /** {@link plainTerms}, or its own. */
  terms: Terms;
  /** Where it stands in its group. */
  place: number;
  /** The next membership of the same subscriber: a list that costs no array. Kept by the hub. */
  next: Member | undefined = undefined;

  constructor(group: Group, subscriber: Subscriber, terms: Terms) {
    this.group = group;
    this.subscriber = subscriber;
    this.terms = normal(terms);
    this.place = group.members.length;
  }

  /** Puts the given terms in place of those it had. */
  change(terms: Partial<Terms>): void {
    this.terms = normal({ ...this.terms, ...terms });
  }

  /** The subscriber has the item with this id, or one without. */
  goOn(currentId: string | undefined): void {
    const { filters, line } = this.terms;
    this.terms = normal({ filters, currentId, line });
  }

  get filters(): readonly string[] {
    return this.terms.filters;
  }

  get currentId(): string | undefined {
    return this.terms.currentId;
  }

  get channel(): ChannelName {
    return this.group.channel.name;
  }

  /** False once it has left. */
  get present(): boolean {
    return this.group.members[this.place] === this;
  }
}

function normal(terms: Terms): Terms {
  const { filters, currentId, line } = terms;
  return filters.length === 0 && currentId === undefined && line === undefined ? plainTerms : terms;
}

/** The members of a channel who get the same bytes, save for filters. */
export class Group {
  readonly channel: Channel;
  readonly shape: Shape;
  members: (Member | undefined)[] = [];
  /** Where the current round ends. */
  end = 0;
  #holes = 0;

  constructor(channel: Channel, shape: Shape) {
    this.channel = channel;
    this.shape = shape;
  }

  get size(): number {
    return this.members.length - this.#holes;
  }

  add(subscriber: Subscriber, terms: Terms): Member {
    const member = new Member(this, subscriber, terms);
    // `push` would make room for 17 at once, and most channels have one member: 512 or 384 bytes for each of those.
    if (this.members.length === 0) this.members = [member];
    else this.members.push(member);
    return member;
  }

  /** Puts the last member into the place that becomes free. */
  remove(member: Member): void {
    const last = this.members.pop();
    if (last === undefined || last === member) return;
    this.members[member.place] = last;
    last.place = member.place;
  }

  leaveHole(member: Member): void {
    this.members[member.place] = undefined;
    this.#holes += 1;
  }

  closeHoles(): void {
    if (this.#holes === 0) return;
    let place = 0;
    for (const member of this.members) {
      if (member === undefined) continue;
      member.place = place;
      this.members[place] = member;
      place += 1;
    }
    this.members.length = place;
    this.#holes = 0;
  }
}

/** Publications on their way to the members, and how far they have come. */
export interface Round {
  readonly publications: readonly Publication[];
  /** The group that is served, which part it is given, and who gets it next. */
  group: number;
  part: Part | undefined;
  place: number;
  /** The first publication behind that part. */
  position: number;
}

export class Channel {
  readonly name: ChannelName;
  groups: readonly Group[] = [];
  /** Members of all groups. */
  size = 0;
  /** Deliveries left out since members read too slowly. */
  dropped = 0;
  round: Round | undefined = undefined;
  /** Settles when the bus brings what is published from now on; undefined once it does. */
  ready: Promise<void> | undefined = undefined;
  #pending: Publication[] | undefined = undefined;
  #pendingBytes = 0;

  constructor(name: ChannelName) {
    this.name = name;
  }

  /** True while nothing is on its way to the members. */
  get idle(): boolean {
    return this.#pending === undefined && this.round === undefined;
  }

  add(subscriber: Subscriber, terms: Terms): Member {
    this.size += 1;
    return this.#groupOf(subscriber.shape).add(subscriber, terms);
  }

  remove(member: Member): void {
    this.size -= 1;
    if (this.round === undefined) member.group.remove(member);
    else member.group.leaveHole(member);
  }

  /** Puts a publication behind those that wait; how many of the oldest had to go for it. */
  append(publication: Publication): number {
    this.#pendingBytes += weight(publication);
    if (this.#pending === undefined) this.#pending = [publication];
    else this.#pending.push(publication);
    let dropped = 0;
    while (
      this.#pending.length > limits.channelPending ||
      (this.#pendingBytes > limits.channelPendingBytes && this.#pending.length > 1)
    ) {
      this.#pendingBytes -= weight(this.#pending.shift());
      dropped += 1;
    }
    return dropped;
  }

  /** Makes a round of all that waits, for those who are members now: long-polls first, then streams, then WebSockets (GRIP 6.5). */
  beginRound(): Round {
    if (this.groups.length > 1) this.groups = this.groups.toSorted((one, two) => turn[one.shape.format] - turn[two.shape.format]);
    for (const group of this.groups) group.end = group.members.length;
    this.round = { publications: this.#pending ?? [], group: 0, part: undefined, place: 0, position: 0 };
    this.#pending = undefined;
    this.#pendingBytes = 0;
    return this.round;
  }

  endRound(): void {
    this.round = undefined;
    for (const group of this.groups) group.closeHoles();
  }

  #groupOf(shape: Shape): Group {
    for (const group of this.groups) if (group.shape === shape) return group;
    const group = new Group(this, shape);
    // A new array has no room to spare: most channels have one group for ever.
    this.groups = this.groups.concat(group);
    return group;
  }
}

const turn: Readonly<Record<Shape['format'], number>> = { response: 0, stream: 1, message: 2 };

/** Bytes of content that a waiting publication keeps in memory. */
function weight(publication: Publication | undefined): number {
  if (publication === undefined) return 0;
  const { message, stream, response } = publication.formats;
  let bytes = 0;
  if (message?.action === 'send') bytes += message.content.length;
  if (stream?.action === 'send') bytes += stream.content.length;
  if (response?.action === 'send' && response.body.kind === 'bytes') bytes += response.body.bytes.length;
  return bytes;
}
