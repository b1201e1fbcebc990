/**
 * What is published for one subscriber, in its order, while it has to wait: for a body that may contain it (GRIP 4.6), or for what
 * the backend says of an item before it (GRIP 5, filters that ask). Other subscribers have lines of their own, most have none.
 */
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
  /** `old`: it has waited for a body that may contain it. */
  deliver(publication: Publication, old: boolean, filtered: Filtered | undefined): void;
}

export class Line {
  /** Its subscriber has joined with filters that ask: then it keeps the line as long as it lives. */
  asks = false;
  readonly #host: LineHost;
  readonly #waiting: Publication[] = [];
  #held = false;
  #asking = false;
  #closed = false;
  /** So many of those that wait, the first, have waited for a body. */
  #old = 0;
  /** Bodies that were waited for so far. */
  #holds = 0;

  constructor(host: LineHost) {
    this.#host = host;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Puts a publication at the end; how many had to go. A close finds room: what is before it in a full line goes for it. */
  add(publication: Publication, closes: boolean): number {
    let dropped = 0;
    if (this.#waiting.length >= limits.heldItems) {
      if (!closes) return 1;
      dropped = this.#empty();
    }
    this.#waiting.push(publication);
    this.#serve();
    return dropped;
  }

  hold(): void {
    this.#held = true;
    this.#holds += 1;
  }

  release(): void {
    this.#held = false;
    this.#old = this.#waiting.length;
    this.#serve();
  }

  /** The subscriber is gone, and what was for it. */
  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
  }

  #serve(): void {
    while (!this.#held && !this.#asking) {
      const [publication] = this.#waiting;
      if (publication === undefined) return;
      const asking = this.#host.ask(publication);
      if (asking === undefined) this.#deliver(publication, undefined);
      else void this.#await(publication, asking);
    }
  }

  async #await(publication: Publication, asking: Promise<Filtered>): Promise<void> {
    const holds = this.#holds;
    this.#asking = true;
    const filtered = await asking;
    this.#asking = false;
    if (this.#closed) return;
    // A body that was waited for meanwhile may contain the item, or change what is asked: then its turn comes again.
    if (holds === this.#holds && this.#host.fits(publication, filtered)) this.#deliver(publication, filtered);
    this.#serve();
  }

  #deliver(publication: Publication, filtered: Filtered | undefined): void {
    const old = this.#old > 0;
    if (old) this.#old -= 1;
    this.#waiting.shift();
    this.#host.deliver(publication, old, filtered);
  }

  /** All but the one that is asked about. */
  #empty(): number {
    const kept = this.#asking ? 1 : 0;
    this.#old = Math.min(this.#old, kept);
    return this.#waiting.splice(kept).length;
  }
}
