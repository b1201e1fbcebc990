/**
 * What is published for one subscriber, in its order, while it has to wait: for a body that may contain it (GRIP 4.6), or for what
 * the backend says of an item before it (GRIP 5, filters that ask). Other subscribers have lines of their own, most have none.
 */
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Publication, Shape } from '../core/publication.ts';

/** What filters have made of a publication. */
export interface Filtered {
  /** Undefined: it is dropped. */
  readonly publication: Publication | undefined;
  readonly filters: readonly string[];
  readonly shape: Shape;
}

export interface LineHost {
  /** What becomes of the publication; undefined: nobody has to be asked. Never rejects. */
  ask(publication: Publication): Promise<Filtered> | undefined;
  /** False where the subscription has got other filters, or another shape, since they were asked. */
  fits(publication: Publication, filtered: Filtered): boolean;
  /** `old`: the subscriber may have got it in another way. */
  deliver(publication: Publication, old: boolean, filtered: Filtered | undefined): void;
}

interface Waiting {
  readonly publication: Publication;
  /** A body that was waited for, or a new current id, may contain it. */
  old: boolean;
}

export class Line {
  /** Its subscriber has joined with filters that ask: then it keeps the line as long as it lives. */
  asks = false;
  readonly #host: LineHost;
  #waiting: Waiting[] = [];
  #held = false;
  /** Of channels that are held alone, while the others go on. */
  readonly #aside = new Map<ChannelName, Waiting[]>();
  /** About the first that waits. */
  #asking: Promise<Filtered> | undefined;

  constructor(host: LineHost) {
    this.#host = host;
  }

  /** True if what is published in the channel has to go by this line. */
  serves(channel: ChannelName): boolean {
    return this.#held || this.asks || this.#aside.has(channel);
  }

  /** It serves no channel. */
  get idle(): boolean {
    return !this.#held && !this.asks && this.#aside.size === 0;
  }

  /** Puts a publication at the end; how many had to go. A close finds room: what is before it in a full line goes for it. */
  add(publication: Publication, closes: boolean): number {
    const waiting = this.#of(publication.channel);
    let dropped = 0;
    if (waiting.length >= limits.heldItems) {
      if (!closes) return 1;
      dropped = this.#empty(waiting);
    }
    waiting.push({ publication, old: false });
    this.#serve();
    return dropped;
  }

  hold(): void {
    this.#held = true;
    this.#askAnew();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    for (const one of this.#waiting) one.old = true;
    this.#serve();
  }

  holdChannel(channel: ChannelName): void {
    if (this.#aside.has(channel)) return;
    if (this.#waiting[0]?.publication.channel === channel) this.#askAnew();
    const isOf = ({ publication }: Waiting): boolean => publication.channel === channel;
    this.#aside.set(channel, this.#waiting.filter(isOf));
    this.#waiting = this.#waiting.filter((one) => !isOf(one));
    this.#serve();
  }

  releaseChannel(channel: ChannelName): void {
    const waiting = this.#of(channel);
    if (waiting === this.#waiting) return;
    this.#aside.delete(channel);
    this.#waiting.push(...waiting);
    this.renewed(channel);
    this.#serve();
  }

  /** What waits of a channel that is held alone was for a subscription that is over. */
  left(channel: ChannelName): void {
    this.#aside.delete(channel);
  }

  /** The subscriber has got a current id in the channel: it says what it has. */
  renewed(channel: ChannelName): void {
    for (const one of this.#waiting) if (one.publication.channel === channel) one.old = true;
  }

  /** The id that a subscriber which has `currentId` will have when all that waits of the channel has come. */
  idBehind(channel: ChannelName, currentId: string | undefined): string | undefined {
    let id = currentId;
    for (const { publication } of this.#of(channel)) {
      if (id !== undefined && publication.channel === channel && publication.previousId === id) ({ id } = publication);
    }
    return id;
  }

  /** The subscriber is gone, and what was for it. */
  close(): void {
    this.#askAnew();
    this.#waiting = [];
    this.#aside.clear();
  }

  #of(channel: ChannelName): Waiting[] {
    return this.#aside.get(channel) ?? this.#waiting;
  }

  #serve(): void {
    while (!this.#held && this.#asking === undefined) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const asking = this.#host.ask(first.publication);
      if (asking === undefined) this.#deliverFirst(first, undefined);
      else void this.#await(first, asking);
    }
  }

  async #await(first: Waiting, asking: Promise<Filtered>): Promise<void> {
    this.#asking = asking;
    const filtered = await asking;
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    if (this.#host.fits(first.publication, filtered)) this.#deliverFirst(first, filtered);
    this.#serve();
  }

  /** A body that is waited for may contain the item that is asked about, or change what is asked: its turn comes again. */
  #askAnew(): void {
    this.#asking = undefined;
  }

  #deliverFirst({ publication, old }: Waiting, filtered: Filtered | undefined): void {
    this.#waiting.shift();
    this.#host.deliver(publication, old, filtered);
  }

  /** All but the one that is asked about. */
  #empty(waiting: Waiting[]): number {
    const kept = waiting === this.#waiting && this.#asking !== undefined ? 1 : 0;
    return waiting.splice(kept).length;
  }
}
