/**
 * Hands publications to the members of their channels. What one turn of the loop brought for a channel is encoded once per shape,
 * joined, and written once to each member: 4.4 times the deliveries of one write per item. One queue of channels and one
 * `setImmediate` serve them all, in slices, so that timers and sockets get their turn between.
 */
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Publication, Shape } from '../core/publication.ts';
import { plainTerms, type Channel, type Group, type Member, type Round } from './channel.ts';
import {
  applyAskingFilters,
  applyFilters,
  contentFiltersFit,
  isItem,
  namesAskingFilter,
  noFilters,
  type CurrentIdOf,
} from './filters.ts';
import type { Filtered } from './line.ts';
import { actionPart, joinBytes, nextPart, type Action, type Encoded, type Part } from './part.ts';

/** So much of a slice one channel may use before the next has its turn: a large channel does not keep small ones waiting. */
const channelShare = limits.fanOutSlice / 4;

interface FanOutParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly currentIdOf: CurrentIdOf;
}

export class FanOut {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #currentIdOf: CurrentIdOf;
  /** Channels with something to deliver, each once, in the order in which they are served. */
  readonly #queue: Channel[] = [];
  #scheduled = false;
  /** Counted here and reported once per slice. */
  #delivered = 0;
  #dropped = 0;

  constructor({ log, metrics, currentIdOf }: FanOutParts) {
    this.#log = log;
    this.#metrics = metrics;
    this.#currentIdOf = currentIdOf;
  }

  /** Takes a publication for the channel's next round; over the limits the oldest that waits is dropped and counted. */
  add(channel: Channel, publication: Publication): void {
    if (channel.idle) this.#queue.push(channel);
    this.#dropped += channel.append(publication) * channel.size;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#serveSlice);
  }

  /** Asks the backend what becomes of a publication, if the member's filters do; undefined: they do not. */
  ask(member: Member, publication: Publication): Promise<Filtered> | undefined {
    if (!namesAskingFilter(member.filters) || !isItem(publication, member.group.shape)) return undefined;
    return follows(member, publication) && member.subscriber.asksFilters ? this.#ask(member, publication) : undefined;
  }

  /**
   * Gives a member one publication that has waited in its line. What does not follow the subscriber's current id is a gap, or,
   * where it is `old`, something that it has got already.
   */
  deliver(member: Member, publication: Publication, old: boolean, filtered: Filtered | undefined): void {
    if (publication.formats[member.group.shape.format] === undefined) return;
    const { currentId } = member.terms;
    if (!this.#follow(member, publication)) {
      if (!old) this.#tellMissed(member);
    } else if (filtered === undefined) this.#handOne(member, [publication], 0, currentId);
    else if (filtered.publication !== undefined) this.#handAsIs(member, filtered.publication, currentId);
    this.#report();
  }

  async #ask(member: Member, publication: Publication): Promise<Filtered> {
    const { filters, group } = member;
    return { publication: await this.#filterAsking(publication, member), filters, shape: group.shape };
  }

  async #filterAsking(publication: Publication, member: Member): Promise<Publication | undefined> {
    try {
      return await applyAskingFilters(publication, member, this.#currentIdOf);
    } catch (error) {
      // Of those who have left nobody wants to know.
      if (!member.present) return undefined;
      this.#dropped += 1;
      this.#log.warn('filter.failed', { channel: member.channel, session: member.subscriber.id, error });
      return undefined;
    }
  }

  readonly #serveSlice = (): void => {
    const queue = this.#queue;
    let served = 0;
    for (let left: number = limits.fanOutSlice; left > 0; served += 1) {
      const channel = queue[served];
      if (channel === undefined) break;
      // A channel without work costs something too, or thousands of them would make a slice endless.
      left -= Math.max(1, this.#serve(channel, Math.min(left, channelShare)));
      if (!channel.idle) queue.push(channel);
    }
    queue.splice(0, served);
    this.#report();
    this.#scheduled = queue.length > 0;
    if (this.#scheduled) setImmediate(this.#serveSlice);
  };

  #report(): void {
    if (this.#delivered > 0) this.#metrics.count('deliveries', this.#delivered);
    if (this.#dropped > 0) this.#metrics.count('deliveries_dropped', this.#dropped);
    this.#delivered = 0;
    this.#dropped = 0;
  }

  /** Goes on with the channel's round until it ends or the budget is used up; how much was used. */
  #serve(channel: Channel, budget: number): number {
    const round = channel.round ?? channel.beginRound();
    let used = 0;
    while (used < budget) {
      const group = channel.size === 0 ? undefined : channel.groups[round.group];
      if (group === undefined) {
        channel.endRound();
        break;
      }
      used += this.#serveGroup(group, round, budget - used);
    }
    return used;
  }

  /** Gives the current part, or else the next one, to as many of the group as the budget allows. */
  #serveGroup(group: Group, round: Round, budget: number): number {
    round.part ??= this.#nextPart(group, round);
    if (round.part === undefined) {
      round.group += 1;
      round.position = 0;
      return 0;
    }
    const used = this.#handOut(round.part, group, round, budget);
    if (round.place < group.end) return used;
    round.position = round.part.to;
    round.part = undefined;
    round.place = 0;
    return used;
  }

  #nextPart(group: Group, { publications, position }: Round): Part | undefined {
    if (group.end === 0) return undefined;
    return nextPart(publications, position, group.shape, (publication) => this.#encodePlain(publication, group));
  }

  #handOut(part: Part, group: Group, round: Round, budget: number): number {
    const { members, end } = group;
    let used = 0;
    while (round.place < end && used < budget) {
      const member = members[round.place];
      round.place += 1;
      if (member === undefined) continue;
      used += this.#handPart(member, part, round.publications);
    }
    return used;
  }

  /** What it costs. */
  #handPart(member: Member, part: Part, publications: readonly Publication[]): number {
    if (member.terms !== plainTerms) return this.#handApart(member, part, publications);
    this.#hand(member, part, undefined);
    return 1;
  }

  /** False: not taken. Then `currentId`, which counted before the part, counts again, and the subscriber has missed something. */
  #hand(member: Member, part: Part, currentId: string | undefined): boolean {
    try {
      if (part.kind === 'action') this.#act(member, part);
      else if (
        part.bytes !== undefined &&
        !member.subscriber.write(part.bytes, part.items, member.channel, currentId !== undefined)
      )
        return this.#goBack(member, currentId);
      this.#delivered += part.items;
      this.#dropped += part.refused;
    } catch (error) {
      this.#dropped += part.items;
      this.#log.error('delivery.failed', { channel: member.channel, session: member.subscriber.id, error });
    }
    return true;
  }

  #goBack(member: Member, currentId: string | undefined): false {
    member.goOn(currentId);
    this.#tellMissed(member);
    return false;
  }

  #act({ subscriber }: Member, { publication, items }: Action): void {
    if (items > 0) subscriber.act(publication);
  }

  /** Costs one for each publication, since each is looked at, and maybe encoded, for this member alone. */
  #handApart(member: Member, part: Part, publications: readonly Publication[]): number {
    const { currentId } = member.terms;
    if (this.#followAll(member, part, publications)) this.#handFiltered(member, part, publications, currentId);
    else for (let i = part.from; i < part.to && member.present; i += 1) this.#handNext(member, publications, i);
    return part.to - part.from;
  }

  /** Goes on to the last id of the part, if it leaves no gap and nothing has to wait: then it is given in one go. */
  #followAll(member: Member, part: Part, publications: readonly Publication[]): boolean {
    const { currentId, line } = member.terms;
    if (line !== undefined) return false;
    let id = currentId;
    for (let i = part.from; i < part.to && id !== undefined; i += 1) {
      const publication = publications[i];
      if (publication?.formats[member.group.shape.format] === undefined || isApart(publication, member)) continue;
      if (publication.previousId !== id) return false;
      ({ id } = publication);
    }
    if (currentId !== undefined) member.goOn(id);
    return true;
  }

  #handNext(member: Member, publications: readonly Publication[], i: number): void {
    const publication = publications[i];
    const format = publication?.formats[member.group.shape.format];
    if (publication === undefined || format === undefined) return;
    const { currentId, line } = member.terms;
    if (line !== undefined) this.#dropped += line.add(publication, format.action === 'close');
    else if (this.#follow(member, publication)) this.#handOne(member, publications, i, currentId);
    else this.#tellMissed(member);
  }

  /** True if the publication leaves no gap; then the member goes on to its id. */
  #follow(member: Member, publication: Publication): boolean {
    if (isApart(publication, member)) return true;
    if (!follows(member, publication)) return false;
    if (member.currentId !== undefined) member.goOn(publication.id);
    return true;
  }

  #handOne(member: Member, publications: readonly Publication[], i: number, currentId: string | undefined): void {
    const publication = publications[i];
    const { shape } = member.group;
    if (publication === undefined) return;
    if (shape.joins && publication.formats[shape.format]?.action === 'send')
      this.#handOwn(member, { from: i, to: i + 1 }, publications, currentId);
    else this.#actOwn(member, actionPart(publication, i, shape));
  }

  /** The filters have done their work. */
  #handAsIs(member: Member, publication: Publication, currentId: string | undefined): void {
    const { group } = member;
    const encode = (one: Publication): Encoded => this.#encode(one, group);
    if (group.shape.joins) this.#hand(member, joinBytes([publication], 0, 1, encode), currentId);
    else this.#hand(member, { ...actionPart(publication, 0, group.shape), items: 1 }, undefined);
  }

  #tellMissed(member: Member): void {
    try {
      member.subscriber.missed(member.channel);
    } catch (error) {
      this.#log.error('delivery.failed', { channel: member.channel, session: member.subscriber.id, error });
    }
  }

  #handFiltered(member: Member, part: Part, publications: readonly Publication[], currentId: string | undefined): void {
    if (member.filters.length === 0) this.#hand(member, part, currentId);
    else if (part.kind === 'action') this.#actOwn(member, part);
    else if (this.#passesUnchanged(member, part, publications)) this.#hand(member, part, currentId);
    else this.#handOwn(member, part, publications, currentId);
  }

  #actOwn(member: Member, part: Action): void {
    const publication = this.#filter(part.publication, member);
    if (publication !== undefined) this.#hand(member, { ...part, publication, items: 1 }, undefined);
  }

  /** True if the member gets what members without filters get: then the bytes are shared, for a quarter of the time. */
  #passesUnchanged(member: Member, part: Part, publications: readonly Publication[]): boolean {
    if (part.items < part.to - part.from) return false;
    for (let i = part.from; i < part.to; i += 1) {
      const publication = publications[i];
      if (publication !== undefined && this.#filter(publication, member) !== publication) return false;
    }
    return true;
  }

  #handOwn(
    member: Member,
    { from, to }: Pick<Part, 'from' | 'to'>,
    publications: readonly Publication[],
    currentId: string | undefined,
  ): void {
    const encode = (publication: Publication): Encoded => this.#encode(this.#filter(publication, member), member.group);
    let id = currentId;
    for (let next = from; next < to && member.present;) {
      const own = joinBytes(publications, next, to, encode);
      if (!this.#hand(member, own, id)) return;
      id = idBehind(id, publications, own, member.group.shape);
      next = own.to;
    }
  }

  /** For all members without filters. */
  #encodePlain(publication: Publication, group: Group): Encoded {
    return contentFiltersFit(publication, group.shape, noFilters) ? this.#encode(publication, group) : 'filtered';
  }

  #filter(publication: Publication, member: Member): Publication | undefined {
    try {
      return applyFilters(publication, member, this.#currentIdOf);
    } catch (error) {
      this.#log.error('filter.failed', { channel: member.channel, session: member.subscriber.id, error });
      return undefined;
    }
  }

  #encode(publication: Publication | undefined, { channel, shape }: Group): Encoded {
    if (publication?.formats[shape.format] === undefined) return 'filtered';
    try {
      return shape.encode(publication) ?? 'refused';
    } catch (error) {
      this.#log.error('encoding.failed', { channel: channel.name, error });
      return 'refused';
    }
  }
}

/** True if the publication leaves no gap. */
function follows({ currentId }: Member, { previousId }: Publication): boolean {
  return currentId === undefined || previousId === currentId;
}

/** An action without ids, such as a close or a refresh, brings nothing: it is no item of the channel's order. */
function isApart({ id, previousId, formats }: Publication, { group }: Member): boolean {
  return id === undefined && previousId === undefined && formats[group.shape.format]?.action !== 'send';
}

/** The id that counts behind these publications for a member to whom `id` counted before, and who follows them. */
function idBehind(
  id: string | undefined,
  publications: readonly Publication[],
  { from, to }: Pick<Part, 'from' | 'to'>,
  { format }: Shape,
): string | undefined {
  let behind = id;
  for (let i = from; i < to && behind !== undefined; i += 1) {
    const publication = publications[i];
    if (publication?.formats[format] !== undefined) behind = publication.id;
  }
  return behind;
}

/** True while the member has the filters and the shape that have been asked. */
export function fits({ filters, group }: Member, asked: Filtered): boolean {
  return (
    group.shape === asked.shape &&
    filters.length === asked.filters.length &&
    filters.every((name, i) => name === asked.filters[i])
  );
}
